// SPDX-License-Identifier: Apache-2.0
// A certified OpenID provider on loopback for tests: node provider.mjs PORT [REDIRECT-URI]. It gives JWT access tokens to the
// client `bot`; with a redirect address people sign in to the client `console`: whoever is named in the form is let in.
// Run it from the folder where its packages are (`make idp`).
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const require = createRequire(join(process.cwd(), 'package.json'));
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

const port = Number(process.argv[2]);
const redirect = process.argv[3];
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const provider = new Provider(`http://localhost:${port}`, {
  clients: [{
    client_id: 'bot',
    client_secret: 'of the bot',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: 'ES256',
  }, ...(redirect ? [{
    client_id: 'console',
    client_secret: 'of the console: +/%',
    grant_types: ['authorization_code'],
    response_types: ['code'],
    redirect_uris: [redirect],
    id_token_signed_response_alg: 'ES256',
  }] : [])],
  pkce: { required: () => true },
  claims: { openid: ['sub', 'groups'] },
  conformIdTokenClaims: false,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, groups: ['auditors'] }) }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
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
const answer = provider.callback();
createServer(async (request, response) => {
  const address = new URL(request.url, `http://localhost:${port}`);
  if (!address.pathname.startsWith('/interaction/')) return answer(request, response);
  const asked = await provider.interactionDetails(request, response);
  if (asked.prompt.name === 'login' && !address.searchParams.has('login')) {
    response.setHeader('content-type', 'text/html');
    return response.end('<form><input name="login" id="login"><button>Sign in</button></form>');
  }
  if (asked.prompt.name === 'login') {
    const login = { accountId: address.searchParams.get('login') };
    return provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
  }
  const grant = new provider.Grant({ accountId: asked.session.accountId, clientId: asked.params.client_id });
  grant.addOIDCScope('openid');
  const consent = { grantId: await grant.save() };
  return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
}).listen(port, '127.0.0.1', () => console.log('open'));
