/** The page: which view an address shows, and moving between them. */
import { showAlert, showAlerts } from './alerts_view.js';
import { fill, h, setAttribute } from './dom.js';
import { showList } from './list_view.js';
import { showObjectives } from './objectives_view.js';
import { showTrace } from './trace_view.js';

const main = /** @type {HTMLElement} */ (document.getElementById('main'));
const lookup = /** @type {HTMLFormElement} */ (document.getElementById('lookup'));
const lookupId = /** @type {HTMLInputElement} */ (document.getElementById('lookup-id'));

let view = new AbortController();
let shownPath = '';

/** @param {string} path */
function traceIdOf(path) {
  return /^\/trace\/([0-9a-fA-F]{1,32})$/.exec(path)?.[1];
}

/** @param {string} path */
function alertOf(path) {
  return /^\/alerts\/([0-9a-f]{16})$/.exec(path)?.[1];
}

/** Whether the page has a view at this address. @param {string} path */
function isView(path) {
  return (
    ['/', '/search', '/alerts', '/objectives'].includes(path) ||
    traceIdOf(path) !== undefined ||
    alertOf(path) !== undefined
  );
}

/** Shows the address that the browser is at. @param {boolean} moved false when the page has just been opened */
function show(moved) {
  view.abort();
  view = new AbortController();
  shownPath = location.pathname;
  fill(main);
  for (const link of document.querySelectorAll('.views a')) {
    setAttribute(link, 'aria-current', link.getAttribute('href') === shownPath ? 'page' : undefined);
  }
  const traceId = traceIdOf(shownPath);
  const fingerprint = alertOf(shownPath);
  if (traceId !== undefined) showTrace(main, traceId, view.signal);
  else if (fingerprint !== undefined) showAlert(main, fingerprint, view.signal);
  else if (shownPath === '/alerts') showAlerts(main, view.signal);
  else if (shownPath === '/objectives') showObjectives(main, view.signal);
  else showList(main, view.signal);
  if (!moved) return;
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
}

document.addEventListener('click', (event) => {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest('a') : null;
  if (link === null || link.target !== '' || link.origin !== location.origin) return;
  if (link.pathname === '/search' || !isView(link.pathname)) return;
  if (link.getAttribute('href')?.startsWith('#')) return;
  event.preventDefault();
  history.pushState(null, '', link.href);
  show(true);
});

window.addEventListener('popstate', () => {
  // Filters and the open span are the views' own.
  if (location.pathname !== shownPath || traceIdOf(shownPath) === undefined) show(true);
});

lookup.addEventListener('submit', (event) => {
  event.preventDefault();
  const id = lookupId.value.trim().replaceAll('-', '');
  const isId = /^[0-9a-fA-F]{1,32}$/.test(id);
  lookupId.setCustomValidity(
    isId ? '' : 'A trace id is 1 to 32 hex digits, as in the x-trace-id header of an answer.',
  );
  if (!lookupId.reportValidity()) return;
  lookupId.value = '';
  history.pushState(null, '', `/trace/${id.toLowerCase()}`);
  show(true);
});
lookupId.addEventListener('input', () => lookupId.setCustomValidity(''));

if (!isView(location.pathname)) {
  fill(main, h('p', {}, 'There is no such page.'));
} else {
  show(false);
}
