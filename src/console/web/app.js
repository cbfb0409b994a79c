/** The page: which view an address shows, and moving between them. */
import { fill, h } from './dom.js';
import { showList } from './list_view.js';
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

/** Shows the address that the browser is at. @param {boolean} moved false when the page has just been opened */
function show(moved) {
  view.abort();
  view = new AbortController();
  shownPath = location.pathname;
  fill(main);
  const traceId = traceIdOf(shownPath);
  if (traceId === undefined) showList(main, view.signal);
  else showTrace(main, traceId, view.signal);
  if (!moved) return;
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
}

document.addEventListener('click', (event) => {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest('a') : null;
  if (link === null || link.target !== '' || link.origin !== location.origin) return;
  if (link.pathname !== '/' && traceIdOf(link.pathname) === undefined) return;
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

if (!['/', '/search'].includes(location.pathname) && traceIdOf(location.pathname) === undefined) {
  fill(main, h('p', {}, 'There is no such page.'));
} else {
  show(false);
}
