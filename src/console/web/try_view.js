/** The box to try a model: it sends one query from this page, and shows the answer with its stages. */
import { ApiError, gatewayJson } from './api.js';
import { announce, fill, h } from './dom.js';
import { ledgerOfTiming } from './ledger.js';
import {
  inputsOf,
  modelPath,
  outputsOf,
  queryText,
  readyModels,
  sampleQuery,
  takesText,
  textQuery,
} from './oip.js';
import { readServerTiming } from './server_timing.js';
import { linkStages, stageBar, stageTable } from './stage_bar.js';
import { clean, countText, durationText } from './text.js';

/** @import {Output, TensorInfo} from './oip.js' */

const SAMPLE_TEXT = 'Where did the time go?';
const TEXT_LIMIT_CHARS = 1_000_000;
const VALUES_SHOWN = 24;
const INFER_TIMEOUT_MS = 60_000;

/** @param {TensorInfo} input */
function describe({ name, datatype, shape }) {
  return `${clean(name)}: ${datatype} [${shape.join(', ')}]`;
}

/** @param {Output} output */
function outputView({ name, datatype, shape, values }) {
  const shown = values.slice(0, VALUES_SHOWN);
  const isShare =
    datatype.startsWith('FP') &&
    shown.every((value) => typeof value === 'number' && value >= 0 && value <= 1);
  return h(
    'div',
    { class: 'output' },
    h(
      'div',
      { class: 'output-name' },
      clean(name),
      h('span', { class: 'muted' }, ` ${datatype} [${shape.join(', ')}]`),
    ),
    h(
      'ol',
      { class: 'values', attrs: { start: '0' } },
      ...shown.map((value) =>
        h(
          'li',
          {},
          isShare && h('span', { class: 'value-bar', style: { width: `${Number(value) * 100}%` } }),
          h(
            'span',
            { class: 'value' },
            typeof value === 'number' ? Number(value.toPrecision(6)).toString() : clean(String(value)),
          ),
        ),
      ),
    ),
    values.length > shown.length &&
      h('p', { class: 'muted' }, `and ${countText(values.length - shown.length, 'more value')}`),
  );
}

/**
 * @param {string} gatewayUrl
 * @param {AbortSignal} signal ends with the view
 * @param {{onModels: (models: string[]) => void, onAnswer: () => void}} told
 */
export function tryBox(gatewayUrl, signal, { onModels, onAnswer }) {
  const select = h('select', { attrs: { id: 'try-model', disabled: true } });
  const takes = h('p', { class: 'muted', attrs: { id: 'try-takes' } });
  const area = h('textarea', {
    attrs: {
      id: 'try-input',
      rows: 4,
      maxlength: TEXT_LIMIT_CHARS,
      spellcheck: 'false',
      'aria-describedby': 'try-takes',
    },
  });
  const areaLabel = h('label', { attrs: { for: 'try-input' } }, 'Input');
  const send = h('button', { class: 'primary', attrs: { disabled: true } }, 'Run');
  const sample = h('button', { attrs: { type: 'button', disabled: true } }, 'Sample');
  const problem = h('div', { class: 'problem', attrs: { role: 'alert', hidden: true } });
  const result = h('div', { class: 'result', attrs: { 'aria-live': 'polite' } });
  const again = h('button', { attrs: { type: 'button', hidden: true } }, 'Try again');

  /** @type {TensorInfo[]} */
  let inputs = [];
  let choosing = new AbortController();

  /** @param {string} message empty takes it away */
  const complain = (message) => {
    problem.hidden = message === '';
    fill(problem, message);
  };

  const fillSample = () => {
    if (takesText(inputs)) area.value = SAMPLE_TEXT;
    else {
      const query = sampleQuery(select.value, inputs);
      if (query === undefined)
        complain('This model takes too much to fill in here; see the protocol’s documentation.');
      else area.value = queryText(query);
    }
    area.focus();
  };

  const choose = async () => {
    choosing.abort();
    choosing = new AbortController();
    const chosen = AbortSignal.any([signal, choosing.signal]);
    send.disabled = true;
    sample.disabled = true;
    complain('');
    fill(result);
    try {
      const { body } = await gatewayJson(gatewayUrl, modelPath(select.value, ''), chosen);
      inputs = inputsOf(body);
    } catch (error) {
      if (chosen.aborted) return;
      complain(error instanceof ApiError ? error.message : String(error));
      return;
    }
    const isText = takesText(inputs);
    areaLabel.textContent = isText ? 'Text' : 'Query, as JSON';
    area.classList.toggle('code', !isText);
    area.rows = isText ? 4 : 9;
    takes.textContent = `Takes ${inputs.map(describe).join('; ')}`;
    area.value = '';
    area.placeholder = isText ? 'A sentence' : '{"inputs": [...]}';
    send.disabled = false;
    sample.disabled = false;
  };

  const load = async () => {
    again.hidden = true;
    complain('');
    try {
      const { body } = await gatewayJson(gatewayUrl, '/v2/repository/index', signal, '{}');
      const models = readyModels(body);
      onModels(models.map(({ name }) => name));
      if (models.length === 0) throw new ApiError('The gateway has no model that is ready.', 200);
      fill(select, ...models.map(({ name }) => h('option', { attrs: { value: name } }, clean(name))));
      // A model that takes text is the easiest to try; the shipped one comes first.
      if (models.some(({ name }) => name === 'langid')) select.value = 'langid';
      select.disabled = false;
      await choose();
    } catch (error) {
      if (signal.aborted) return;
      complain(error instanceof ApiError ? error.message : String(error));
      again.hidden = false;
    }
  };

  /** @param {string} model @param {any} body @param {Headers} headers @param {number} tookMs */
  const showAnswer = (model, body, headers, tookMs) => {
    const ledger = ledgerOfTiming(readServerTiming(headers.get('server-timing')));
    const traceId = headers.get('x-trace-id') ?? '';
    const stages = h('div', { class: 'try-stages' });
    if (ledger !== undefined) {
      stages.append(
        stageBar(ledger),
        h(
          'details',
          {},
          h('summary', {}, 'Stages'),
          stageTable(ledger, `Stages of the query to ${model}, as Server-Timing tells them`),
        ),
      );
      linkStages(stages);
    }
    fill(
      result,
      ...outputsOf(body).map(outputView),
      h(
        'p',
        { class: 'took' },
        ledger === undefined ? '' : `${durationText(ledger.totalMs)} in the service, `,
        `${durationText(tookMs)} from this page`,
        traceId !== '' && ' · ',
        traceId !== '' && h('a', { attrs: { href: `/trace/${encodeURIComponent(traceId)}` } }, 'its trace'),
      ),
      stages,
    );
  };

  const run = async () => {
    complain('');
    fill(result);
    const [input] = inputs;
    if (input === undefined) return;
    const text = area.value;
    if (text.trim() === '') {
      complain(
        takesText(inputs) ? 'Write a text first, or press Sample.' : 'Write a query first, or press Sample.',
      );
      area.focus();
      return;
    }
    const model = select.value;
    send.disabled = true;
    const startMs = performance.now();
    try {
      const json = takesText(inputs) ? JSON.stringify(textQuery(input, text)) : text;
      const answer = await gatewayJson(
        gatewayUrl,
        `${modelPath(model, '')}/infer`,
        signal,
        json,
        INFER_TIMEOUT_MS,
      );
      showAnswer(model, answer.body, answer.headers, performance.now() - startMs);
    } catch (error) {
      if (signal.aborted) return;
      const message = error instanceof ApiError ? error.message : String(error);
      const traceId = error instanceof ApiError ? (error.headers.get('x-trace-id') ?? '') : '';
      complain(clean(message));
      if (traceId !== '')
        problem.append(
          ' ',
          h('a', { attrs: { href: `/trace/${encodeURIComponent(traceId)}` } }, 'Its trace'),
        );
      announce('The query failed.');
    }
    send.disabled = false;
    onAnswer();
  };

  select.addEventListener('change', () => void choose());
  sample.addEventListener('click', fillSample);
  again.addEventListener('click', () => void load());
  area.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      void run();
    }
  });
  void load();
  return h(
    'form',
    {
      class: 'try',
      on: {
        submit: (event) => {
          event.preventDefault();
          void run();
        },
      },
    },
    h('label', { attrs: { for: 'try-model' } }, 'Model'),
    select,
    areaLabel,
    area,
    takes,
    h('div', { class: 'buttons' }, send, sample, again),
    problem,
    result,
  );
}
