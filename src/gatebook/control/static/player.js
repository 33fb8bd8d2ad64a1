// Plays the points of a page in their own time. Without it all of them are shown.
'use strict';
(() => {
  const points = [...document.querySelectorAll('#points li')];
  if (!points.length) return;
  const at = points.map((one) => Number(one.dataset.at));
  const element = (name) => document.getElementById(name);
  const [player, play, seek, clock, speed, skip, find] = ['player', 'play', 'seek', 'clock', 'speed', 'skip', 'find'].map(element);
  const LONGEST_S = 2;
  let shown = points.length;
  let timer = 0;
  player.hidden = false;

  function show(count, follow) {
    shown = Math.max(0, Math.min(points.length, count));
    points.forEach((one, index) => {
      one.hidden = index >= shown;
      one.classList.toggle('now', index === shown - 1 && shown < points.length);
    });
    seek.value = shown;
    const seconds = shown ? at[shown - 1] : 0;
    clock.textContent = `+${String(Math.floor(seconds / 60)).padStart(2, '0')}:${(seconds % 60).toFixed(1).padStart(4, '0')}`;
    if (follow && shown) points[shown - 1].scrollIntoView({ block: 'nearest' });
  }

  function stop() {
    clearTimeout(timer);
    timer = 0;
    play.textContent = 'Play';
  }

  function next() {
    if (shown >= points.length) return stop();
    const pause = shown ? at[shown] - at[shown - 1] : 0;
    const wait = (skip.checked ? Math.min(pause, LONGEST_S) : pause) / Number(speed.value);
    timer = setTimeout(() => { show(shown + 1, true); next(); }, wait * 1000);
  }

  play.addEventListener('click', () => {
    if (timer) return stop();
    if (shown >= points.length) show(0, false);
    play.textContent = 'Pause';
    next();
  });
  element('step').addEventListener('click', () => { stop(); show(shown + 1, true); });
  element('back').addEventListener('click', () => { stop(); show(shown - 1, true); });
  seek.addEventListener('input', () => { stop(); show(Number(seek.value), true); });
  find.addEventListener('input', () => {
    const words = find.value.toLowerCase();
    let first = null;
    points.forEach((one, index) => {
      const has = words !== '' && one.textContent.toLowerCase().includes(words);
      one.classList.toggle('found', has);
      if (has && first === null) first = index;
    });
    if (first !== null) {
      stop();
      if (first >= shown) show(first + 1, false);
      points[first].scrollIntoView({ block: 'center' });
    }
  });
  show(points.length, false);
})();
