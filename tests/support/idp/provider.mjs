// SPDX-License-Identifier: Apache-2.0
// A certified OpenID provider on loopback for tests: node provider.mjs PORT. It gives JWT access tokens to the client `bot`.
// Run it from the folder where its packages are (`make idp`).
import { generateKeyPairSync } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const require = createRequire(join(process.cwd(), 'package.json'));
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

const port = Number(process.argv[2]);
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const provider = new Provider(`http://localhost:${port}`, {
  clients: [{
    client_id: 'bot',
    client_secret: 'of the bot',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: 'ES256',
  }],
  jwks: { keys: [{ ...key, use: 'sig', alg: 'ES256', kid: 'provider-key' }] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:gatebook',
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'shop',
        audience: 'gatebook',
        accessTokenTTL: 300,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
  extraTokenClaims: () => ({ groups: ['agents'] }),
});
provider.listen(port, '127.0.0.1', () => console.log('open'));
