// Signing in with a passkey, making one, and signing with one: the browser's interface and our three answers.
'use strict';
const Passkey = (() => {
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (one) => one.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');

  const field = document.querySelector('header input[name=csrf]');

  async function post(address, value) {
    const more = field ? { 'x-csrf-token': field.value } : {};
    const answer = await fetch(address, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json', ...more },
      body: JSON.stringify(value),
    });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.hint ? `${told.detail}: ${told.hint}` : told.detail);
    return told;
  }

  async function create(options) {
    const made = await navigator.credentials.create({ publicKey: {
      ...options,
      challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: (options.excludeCredentials || []).map((one) => ({ ...one, id: bytes(one.id) })),
    } });
    return { id: made.id, rawId: text(made.rawId), type: made.type, response: {
      clientDataJSON: text(made.response.clientDataJSON),
      attestationObject: text(made.response.attestationObject),
    } };
  }

  async function get(options) {
    const made = await navigator.credentials.get({ publicKey: {
      ...options,
      challenge: bytes(options.challenge),
      allowCredentials: (options.allowCredentials || []).map((one) => ({ ...one, id: bytes(one.id) })),
    } });
    return { id: made.id, rawId: text(made.rawId), type: made.type, response: {
      clientDataJSON: text(made.response.clientDataJSON),
      authenticatorData: text(made.response.authenticatorData),
      signature: text(made.response.signature),
    } };
  }

  return { post, create, get };
})();

(() => {
  const told = document.getElementById('told');
  const doing = (button, work) => button && button.addEventListener('click', async () => {
    button.disabled = true;
    told.className = '';
    told.textContent = 'Your device asks you now.';
    try {
      await work();
    } catch (fault) {
      told.className = 'bad';
      told.textContent = fault.name === 'NotAllowedError' ? 'It was cancelled, or took too long.' : fault.message;
    }
    button.disabled = false;
  });
  doing(document.getElementById('passkey'), async () => {
    const begun = await Passkey.post('/sign-in/passkey/begin', {});
    const credential = await Passkey.get(begun.options);
    const done = await Passkey.post('/sign-in/passkey/finish', { challenge: begun.challenge, credential });
    location.assign(done.next);
  });
  doing(document.getElementById('enrol'), async () => {
    const code = location.hash.slice(1);
    const begun = await Passkey.post('/enrol/begin', { code });
    const credential = await Passkey.create(begun.options);
    const done = await Passkey.post('/enrol/finish', { code, challenge: begun.challenge, credential });
    history.replaceState(null, '', location.pathname);
    told.textContent = `The passkey ${done.fingerprint} is yours. `;
    const link = document.createElement('a');
    link.href = done.next;
    link.textContent = 'Sign in with it';
    told.append(link);
    document.getElementById('enrol').hidden = true;
  });
})();

// A vote: the challenge is the hash of the ballot, so that what the device signs is the vote itself.
(() => {
  const vote = document.getElementById('vote');
  if (!vote) return;
  const told = document.getElementById('told');
  const reason = document.getElementById('reason');
  const buttons = [...vote.querySelectorAll('button')];
  const cast = (choice) => async () => {
    if (choice !== 'approve' && !reason.value.trim()) {
      told.className = 'bad';
      told.textContent = choice === 'deny' ? 'To deny needs a reason.' : 'A review needs words.';
      reason.focus();
      return;
    }
    buttons.forEach((one) => { one.disabled = true; });
    told.className = '';
    told.textContent = 'Your device asks you now.';
    const address = `/approvals/${encodeURIComponent(vote.dataset.request)}/vote`;
    try {
      const begun = await Passkey.post(`${address}/begin`, { choice, reason: reason.value });
      const credential = await Passkey.get(begun.options);
      const done = await Passkey.post(`${address}/finish`, { challenge: begun.challenge, credential });
      location.assign(done.next);
    } catch (fault) {
      told.className = 'bad';
      told.textContent = fault.name === 'NotAllowedError' ? 'It was cancelled, or took too long.' : fault.message;
      buttons.forEach((one) => { one.disabled = false; });
    }
  };
  for (const choice of ['approve', 'deny', 'review']) {
    const button = document.getElementById(choice);
    if (button) button.addEventListener('click', cast(choice));
  }
})();
