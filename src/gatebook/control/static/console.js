// What every page does: requests of htmx carry the token of the web session, and an answer of a signed-out
// session loads the page anew. Nothing here decides anything.
'use strict';
(() => {
  const field = document.querySelector('header input[name=csrf]');
  document.addEventListener('htmx:config:request', (event) => {
    if (field) event.detail.ctx.request.headers['X-CSRF-Token'] = field.value;
  });
  document.addEventListener('htmx:before:swap', (event) => {
    if (event.detail.ctx.response && event.detail.ctx.response.status === 401) {
      event.preventDefault();
      location.assign('/sign-in');
    }
  });

  // How many wait, in the title; how long there is, beside each request; a request that is over shows itself anew.
  const title = document.title;
  function tell() {
    const inbox = document.querySelector('[data-waiting]');
    if (inbox) {
      const waiting = Number(inbox.dataset.waiting);
      document.title = waiting ? `(${waiting}) ${title}` : title;
    }
    for (const place of document.querySelectorAll('[data-until]')) {
      const left = Math.max(0, Math.round((Date.parse(place.dataset.until) - Date.now()) / 1000));
      place.textContent = left >= 3600 ? `${Math.floor(left / 3600)} h ${Math.floor(left / 60) % 60} min left`
        : left >= 60 ? `${Math.floor(left / 60)} min ${left % 60} s left` : `${left} s left`;
      place.classList.toggle('short', left < 60);
    }
    const vote = document.getElementById('vote');
    const state = document.getElementById('state');
    if (vote && state && state.dataset.state !== 'pending' && !document.getElementById('review')) vote.hidden = true;
  }
  tell();
  setInterval(tell, 500);
  document.addEventListener('htmx:after:swap', tell);
})();
