-- +goose Up
-- The public keys of the tokens with which the instances call Backstage.
CREATE TABLE plugin_keys (
    id      text COLLATE "C" PRIMARY KEY,
    -- A JSON Web Key.
    jwk     text NOT NULL,
    expires timestamptz NOT NULL
);

-- +goose Down
DROP TABLE plugin_keys;
