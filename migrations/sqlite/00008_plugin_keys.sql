-- +goose Up
-- The public keys of the tokens with which the instances call Backstage.
CREATE TABLE plugin_keys (
    id      text NOT NULL PRIMARY KEY,
    -- A JSON Web Key.
    jwk     text NOT NULL,
    expires integer NOT NULL
) WITHOUT ROWID;

-- +goose Down
DROP TABLE plugin_keys;
