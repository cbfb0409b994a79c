/** The models that the repository ships, through the whole room, against what their training wrote down. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BytesData } from '../contract/datatypes.ts';
import type { Tensor } from '../contract/tensors.ts';
import { seededUniform } from './generated_models.ts';
import { type LoadedModel, loadModel } from './load_model.ts';
import { type RepositoryScan, scanRepository } from './repository.ts';

const MODELS = fileURLToPath(new URL('../../models', import.meta.url));

let scan: RepositoryScan;
beforeAll(async () => {
  scan = await scanRepository(MODELS);
});

async function load(name: string): Promise<LoadedModel> {
  const entry = scan.entries.find((one) => one.name === name);
  if (entry === undefined) throw new Error(`${name} is not in the repository`);
  return loadModel(entry);
}

async function references<T>(name: string): Promise<readonly (T & { label: string; probability: number })[]> {
  return JSON.parse(await readFile(`${MODELS}/${name}/reference.json`, 'utf8'));
}

interface Answer {
  readonly label: string;
  readonly probability: number;
}

async function answer(model: LoadedModel, queries: readonly (readonly Tensor[])[]): Promise<Answer[][]> {
  const prepared = queries.map((inputs) => model.pipeline.prepareRows(inputs));
  const batch = model.pipeline.assemble(prepared);
  const outputs = model.pipeline.postprocess(await model.session.run(batch.feeds));
  const rows = prepared.map((query) => query.rows);
  return model.pipeline.split(outputs, rows).map(([label, probability]) =>
    ((label?.data ?? []) as BytesData).map((bytes, row) => ({
      label: new TextDecoder().decode(bytes),
      probability: Number(probability?.data[row]),
    })),
  );
}

/** Labels exactly; probabilities but for rounding, which depends on the kernels that a processor gets. */
function expectSame(given: readonly Answer[], expected: readonly (Answer | undefined)[]): void {
  expect(given.map(({ label }) => label)).toEqual(expected.map((one) => one?.label));
  for (const [row, { probability }] of given.entries()) {
    expect(probability).toBeCloseTo(expected[row]?.probability ?? Number.NaN, 5);
  }
}

it('are found without a problem', () => {
  expect(scan.problems).toEqual([]);
  expect(scan.entries.map((entry) => entry.name)).toEqual(['digits', 'langid']);
});

describe('langid', () => {
  let model: LoadedModel;
  let known: Awaited<ReturnType<typeof references<{ text: string }>>>;
  beforeAll(async () => {
    model = await load('langid');
    known = await references('langid');
  });
  afterAll(() => model[Symbol.asyncDispose]());

  const query = (...texts: readonly string[]): Tensor[] => {
    const data = texts.map((text) => new TextEncoder().encode(text));
    return [{ name: 'text', datatype: 'BYTES', shape: [texts.length], data }];
  };

  it('is described as its manifest says', () => {
    expect(model.info).toMatchObject({
      inputs: [{ name: 'text', datatype: 'BYTES', shape: [-1] }],
      outputs: [
        { name: 'language', datatype: 'BYTES', shape: [-1] },
        { name: 'probability', datatype: 'FP32', shape: [-1] },
      ],
      warmUpGiven: true,
      notes: [],
    });
  });

  it('answers as after its training', async () => {
    expect(known.length).toBeGreaterThan(25);
    for (const { text, label, probability } of known) {
      const [[given] = []] = await answer(model, [query(text)]);
      expect({ text, label: given?.label }).toEqual({ text, label });
      expect(given?.probability).toBeCloseTo(probability, 4);
    }
  });

  it('answers in a batch of other lengths as alone', async () => {
    const next = seededUniform(11);
    const alone = new Map<string, Answer | undefined>();
    const texts = ['', 'a', ...known.map(({ text }) => text), 'long '.repeat(200)];
    for (const text of texts) alone.set(text, (await answer(model, [query(text)]))[0]?.[0]);
    let padding = 0;
    for (let round = 0; round < 30; round += 1) {
      const chosen = Array.from({ length: 16 }, () => texts[Math.floor(next() * texts.length)] ?? '');
      const queries = [query(...chosen.slice(0, 3)), ...chosen.slice(3).map((text) => query(text))];
      const prepared = queries.map((inputs) => model.pipeline.prepareRows(inputs));
      padding += model.pipeline.assemble(prepared).paddingElements;
      const together = (await answer(model, queries)).flat();
      expectSame(
        together,
        chosen.map((text) => alone.get(text)),
      );
    }
    expect(padding).toBeGreaterThan(0);
  });
});

describe('digits', () => {
  let model: LoadedModel;
  let known: Awaited<ReturnType<typeof references<{ image: number[] }>>>;
  beforeAll(async () => {
    model = await load('digits');
    known = await references('digits');
  });
  afterAll(() => model[Symbol.asyncDispose]());

  const query = (image: readonly number[]): Tensor[] => [
    { name: 'image', datatype: 'FP32', shape: [1, 64], data: Float32Array.from(image) },
  ];

  it('answers as after its training, in a batch as alone', async () => {
    expect(known.length).toBeGreaterThan(9);
    const alone: (Answer | undefined)[] = [];
    for (const { image, label, probability } of known) {
      const [[given] = []] = await answer(model, [query(image)]);
      expect(given?.label).toBe(label);
      expect(given?.probability).toBeCloseTo(probability, 4);
      alone.push(given);
    }
    const together = await answer(
      model,
      known.slice(0, 16).map(({ image }) => query(image)),
    );
    expectSame(together.flat(), alone.slice(0, 16));
  });
});
