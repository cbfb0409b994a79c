/** Silences: the list with a button to end each, and the form for a new one. */
import { consolePost } from './api.js';
import { announce, fill, h } from './dom.js';
import { clean, countText, roughly } from './text.js';

const NAME_KEY = 'vitrine.name';
/** @type {readonly [string, number][]} */
const DURATIONS = [
  ['30 minutes', 1800],
  ['2 hours', 7200],
  ['8 hours', 28_800],
  ['1 day', 86_400],
  ['7 days', 604_800],
];

/** Who acts, as told before on this browser. */
export function whoAmI() {
  try {
    return localStorage.getItem(NAME_KEY) ?? 'someone at the page';
  } catch {
    return 'someone at the page';
  }
}

/** @param {string} name */
function remember(name) {
  try {
    localStorage.setItem(NAME_KEY, name);
  } catch {
    // A browser that keeps nothing asks again.
  }
}

/**
 * @param {readonly any[]} silences
 * @param {AbortSignal} signal
 * @param {() => void} onChange
 */
export function silenceList(silences, signal, onChange) {
  if (silences.length === 0) return [h('p', { class: 'muted' }, 'None.')];
  const nowMs = Date.now();
  return silences.map(({ id, matcher, reason, by, endsAtMs }) => {
    const end = h('button', { attrs: { type: 'button', 'data-silence': id } }, 'End now');
    end.addEventListener('click', async () => {
      end.disabled = true;
      await consolePost(`/console/silences/${id}/end`, { by: whoAmI() }, signal).catch(() => {});
      onChange();
    });
    const parts = Object.entries(matcher).map(
      ([label, value]) => `${clean(label, 100)}=${clean(String(value), 200)}`,
    );
    return h(
      'p',
      { class: 'silence' },
      h('span', { class: 'id' }, parts.join(', ')),
      ` · ends in ${roughly(endsAtMs - nowMs)} · ${clean(by, 200)}: ${clean(reason, 400)} `,
      end,
    );
  });
}

/** @param {string} id @param {string} words @param {HTMLElement} control */
function field(id, words, control) {
  control.id = id;
  return h('div', { class: 'field' }, h('label', { attrs: { for: id } }, words), control);
}

/**
 * @param {AbortSignal} signal
 * @param {() => void} onChange
 */
export function silenceForm(signal, onChange) {
  const matcher = h('input', {
    attrs: {
      required: true,
      maxlength: 4096,
      placeholder: 'name=VitrineWorkerDown, worker=worker-2',
      spellcheck: 'false',
    },
  });
  const reason = h('input', { attrs: { required: true, maxlength: 2000 } });
  const by = h('input', { attrs: { required: true, maxlength: 200, autocomplete: 'name', value: whoAmI() } });
  const duration = h(
    'select',
    {},
    ...DURATIONS.map(([words, seconds]) => h('option', { attrs: { value: seconds } }, words)),
  );
  const problem = h('p', { class: 'bad', attrs: { role: 'alert' } });
  const outcome = h('p', { class: 'outcome' });
  const element = h(
    'form',
    { class: 'silence-form' },
    h('h3', {}, 'Silence'),
    field('silence-matcher', 'Alerts with these labels', matcher),
    field('silence-duration', 'For', duration),
    field('silence-reason', 'Reason', reason),
    field('silence-by', 'Your name', by),
    h('button', { attrs: { type: 'submit' } }, 'Silence'),
    problem,
    outcome,
  );
  element.addEventListener('submit', async (event) => {
    event.preventDefault();
    fill(problem);
    fill(outcome);
    remember(by.value.trim());
    try {
      const body = {
        matcher: matcher.value,
        reason: reason.value,
        by: by.value,
        forS: Number(duration.value),
      };
      const { holds } = await consolePost('/console/silences', body, signal);
      reason.value = '';
      const result =
        holds.length === 0
          ? 'Silenced. No alert that is active now has these labels.'
          : `Silenced: ${countText(holds.length, 'alert')}.`;
      fill(outcome, result);
      announce(result);
      onChange();
    } catch (error) {
      if (!signal.aborted) fill(problem, clean(error instanceof Error ? error.message : String(error)));
    }
  });
  return {
    element,
    /** Fills in the matcher, while it is still empty. @param {string} text */
    suggest(text) {
      if (matcher.value === '') matcher.value = text;
    },
  };
}
