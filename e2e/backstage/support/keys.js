// A signing key of Backstage's auth backend whose private half the tests know, for
// tokens that Backstage would issue only with time, or never.
import { randomUUID } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

// newSigningKey returns a key that nobody knows yet.
export async function newSigningKey() {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const kid = randomUUID();
  return {
    // Backstage serves the keys in its database; each of its instances has one.
    async addTo(database) {
      const jwk = { ...await exportJWK(publicKey), kid, alg: 'ES256' };
      await database.query('INSERT INTO auth.signing_keys (kid, key) VALUES ($1, $2)', [kid, JSON.stringify(jwk)]);
    },
    // userToken signs a user token as Backstage does; times are seconds from now.
    userToken(issuer, userRef, { issued = 0, expires = 3600, audience = 'backstage' } = {}) {
      const now = Math.floor(Date.now() / 1000);
      return new SignJWT({})
        .setProtectedHeader({ typ: 'vnd.backstage.user', alg: 'ES256', kid })
        .setIssuer(issuer)
        .setSubject(userRef)
        .setAudience(audience)
        .setIssuedAt(now + issued)
        .setExpirationTime(now + expires)
        .sign(privateKey);
    },
  };
}
