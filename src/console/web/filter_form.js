/** The list's filters as a form. */
import { fill, h } from './dom.js';
import { isFiltered, NO_FILTERS } from './filters.js';
import { OUTCOMES } from './names.js';
import { clean } from './text.js';

/** @import {Filters} from './filters.js' */

const MODELS_LIMIT = 500;

/** @param {string} value @param {string} [text] */
const option = (value, text = clean(value, 80)) => h('option', { attrs: { value } }, text);

/**
 * @param {Filters} given
 * @param {(filters: Filters) => void} onChange
 */
export function filterForm(given, onChange) {
  /** @type {Set<string>} */
  const models = new Set(given.model === '' ? [] : [given.model]);
  const model = h('select', { attrs: { id: 'filter-model' } });
  const outcomes =
    OUTCOMES.includes(given.outcome) || given.outcome === '' ? OUTCOMES : [...OUTCOMES, given.outcome];
  const outcome = h(
    'select',
    { attrs: { id: 'filter-outcome' } },
    option('', 'any'),
    ...outcomes.map((each) => option(each)),
  );
  const least = h('input', {
    attrs: { id: 'filter-min', type: 'number', min: 0, max: 86_400_000, step: 'any', placeholder: '0' },
  });
  const errors = h('input', { attrs: { id: 'filter-errors', type: 'checkbox' } });
  const clear = h('button', { attrs: { type: 'button' } }, 'Clear filters');

  const showModels = () => {
    const { value } = model;
    fill(model, option('', 'any'), ...[...models].sort().map((each) => option(each)));
    model.value = value;
  };
  /** @param {Filters} filters */
  const show = (filters) => {
    showModels();
    model.value = filters.model;
    outcome.value = filters.outcome;
    least.value = filters.minMs > 0 ? String(filters.minMs) : '';
    errors.checked = filters.errors;
    clear.hidden = !isFiltered(filters);
  };
  const read = () => {
    const minMs = Number(least.value);
    const filters = {
      model: model.value,
      outcome: outcome.value,
      minMs: minMs > 0 ? minMs : 0,
      errors: errors.checked,
    };
    clear.hidden = !isFiltered(filters);
    onChange(filters);
  };

  for (const control of [model, outcome, least, errors]) control.addEventListener('change', read);
  clear.addEventListener('click', () => {
    show(NO_FILTERS);
    model.focus();
    onChange(NO_FILTERS);
  });
  show(given);

  /** @param {string} label @param {HTMLElement} control */
  const field = (label, control) =>
    h('div', { class: 'field' }, h('label', { attrs: { for: control.id } }, label), control);
  return {
    element: h(
      'form',
      {
        class: 'filters',
        attrs: { 'aria-label': 'Filters' },
        on: { submit: (event) => event.preventDefault() },
      },
      field('Model', model),
      field('Outcome', outcome),
      field('At least, ms', least),
      h('div', { class: 'field check' }, errors, h('label', { attrs: { for: errors.id } }, 'Errors only')),
      clear,
    ),
    /** Offers a model. @param {string} name */
    know(name) {
      if (name === '' || models.has(name) || models.size >= MODELS_LIMIT) return;
      models.add(name);
      showModels();
    },
  };
}
