import { mkdir, rm, symlink, utimes } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import {
  createTemporaryRepository,
  type TemporaryRepository,
} from '../../test/fixtures/temporary_repository.ts';
import { formatProblem } from './model_problem.ts';
import { diffRepository, type RepositoryLimits, scanRepository } from './repository.ts';

async function scan(repository: TemporaryRepository, limits?: RepositoryLimits) {
  const { entries, problems } = await scanRepository(repository.folder, limits);
  return {
    served: entries.map((entry) => `${entry.name}/${entry.version}`),
    problems: problems.map(formatProblem),
    entries,
  };
}

describe('what is served', () => {
  it('every version of every model, versions in numeric order', async () => {
    await using repository = await createTemporaryRepository({
      'b/1/model.onnx': '',
      'a/10/model.onnx': '',
      'a/9/model.onnx': '',
      'a/2/model.onnx': '',
    });
    const found = await scan(repository);
    expect(found.served).toEqual(['a/2', 'a/9', 'a/10', 'b/1']);
    expect(found.problems).toEqual([]);
    expect(found.entries[0]).toMatchObject({
      folder: repository.path('a/2'),
      modelPath: repository.path('a/2/model.onnx'),
      shownPath: 'a/2/model.onnx',
      labels: undefined,
    });
  });

  it('a folder with model.onnx and nothing else, as version 1', async () => {
    await using repository = await createTemporaryRepository({ 'mine/model.onnx': '' });
    const found = await scan(repository);
    expect(found.served).toEqual(['mine/1']);
    expect(found.entries[0]?.shownPath).toBe('mine/model.onnx');
  });

  it('nothing of folders without versions, hidden folders and files', async () => {
    await using repository = await createTemporaryRepository({
      'training/train.py': '',
      'notes on models/readme.txt': '',
      '.git/1/model.onnx': '',
      'README.md': '',
      'a/1/model.onnx': '',
      'a/latest/model.onnx': '',
    });
    expect(await scan(repository)).toMatchObject({ served: ['a/1'], problems: [] });
  });

  it('an empty repository', async () => {
    await using repository = await createTemporaryRepository();
    expect(await scan(repository)).toMatchObject({ served: [], problems: [] });
  });

  it('links that stay inside the repository', async () => {
    await using repository = await createTemporaryRepository({
      'store/7/model.onnx': '',
      'a/1/model.onnx': '',
    });
    await symlink('../store/7', repository.path('a/2'));
    await symlink('store', repository.path('b'));
    expect(await scan(repository)).toMatchObject({
      served: ['a/1', 'a/2', 'b/7', 'store/7'],
      problems: [],
    });
  });
});

describe('what is not served is a problem, and the others go on', () => {
  const GOOD = { 'good/1/model.onnx': '' };

  it.each<[string, Record<string, string>, RegExp]>([
    [
      'a name with a space',
      { 'my model/1/model.onnx': '' },
      /^my model: a model name takes .*; rename the folder$/,
    ],
    ['a name that is too long', { [`${'n'.repeat(129)}/1/model.onnx`]: '' }, /a model name takes 1 to 128/],
    [
      'a version without a model',
      { 'bad/1/readme.txt': '' },
      /^bad\/1: holds no model\.onnx; put the model there/,
    ],
    ['version 0', { 'bad/0/model.onnx': '' }, /^bad\/0: a version is a positive integer/],
    [
      'a leading zero',
      { 'bad/01/model.onnx': '' },
      /^bad\/01: a version is a positive integer without leading/,
    ],
    [
      'a version beyond 15 digits',
      { 'bad/1234567890123456/model.onnx': '' },
      /a version is a positive integer/,
    ],
    [
      'a manifest with an error',
      { 'bad/1/model.onnx': '', 'bad/1/model.yaml': '\ninstances: 0\n' },
      /^bad\/1\/model\.yaml:2: instances is 0/,
    ],
    [
      "an error in the model folder's manifest",
      { 'bad/1/model.onnx': '', 'bad/model.yaml': 'instances: 0' },
      /^bad\/model\.yaml:1: instances is 0/,
    ],
    [
      'a manifest that is too large',
      { 'bad/1/model.onnx': '', 'bad/1/model.yaml': '#'.repeat(70_000) },
      /^bad\/1\/model\.yaml: is no manifest; it takes a text file of at most 65536 bytes$/,
    ],
    [
      'labels that are not there',
      { 'bad/1/model.onnx': '', 'bad/1/model.yaml': 'labels: labels.txt' },
      /^bad\/1\/model\.yaml:1: labels: there is no file "labels\.txt" in the version folder$/,
    ],
    [
      'labels with a gap',
      { 'bad/1/model.onnx': '', 'bad/1/model.yaml': 'labels: l.txt', 'bad/1/l.txt': 'a\n\nc\n' },
      /labels: "l\.txt" line 2 is empty/,
    ],
    [
      'empty labels',
      { 'bad/1/model.onnx': '', 'bad/1/model.yaml': 'labels: l.txt', 'bad/1/l.txt': '\n' },
      /labels: "l\.txt" is empty/,
    ],
  ])('%s', async (_, files, expected) => {
    await using repository = await createTemporaryRepository({ ...GOOD, ...files });
    const found = await scan(repository);
    expect(found.served).toEqual(['good/1']);
    expect(found.problems).toEqual([expect.stringMatching(expected)]);
  });

  it('labels that are not UTF-8', async () => {
    await using repository = await createTemporaryRepository({
      ...GOOD,
      'bad/1/model.onnx': '',
      'bad/1/model.yaml': 'labels: l.txt',
      'bad/1/l.txt': Uint8Array.of(0xff, 0xfe),
    });
    const found = await scan(repository);
    expect(found.served).toEqual(['good/1']);
    expect(found.problems).toEqual(['bad/1/model.yaml:1: labels: "l.txt" is not UTF-8 text']);
  });

  it('a model beside version folders', async () => {
    await using repository = await createTemporaryRepository({ 'a/model.onnx': '', 'a/3/model.onnx': '' });
    const found = await scan(repository);
    expect(found.served).toEqual(['a/3']);
    expect(found.problems).toEqual([expect.stringMatching(/^a\/model\.onnx: not served, because/)]);
  });

  it('folders where files are expected', async () => {
    await using repository = await createTemporaryRepository({
      ...GOOD,
      'bad/1/model.onnx/readme.txt': '',
      'worse/1/model.onnx': '',
      'worse/1/model.yaml/readme.txt': '',
      'worst/1': 'a file, no folder',
    });
    const found = await scan(repository);
    expect(found.served).toEqual(['good/1']);
    expect(found.problems).toEqual([
      'bad/1/model.onnx: is not a file',
      expect.stringMatching(/^worse\/1\/model\.yaml: is no manifest/),
      expect.stringMatching(/^worst\/1: /),
    ]);
  });

  it('links that dangle or go round in a circle', async () => {
    await using repository = await createTemporaryRepository({ ...GOOD, 'bad/2/model.onnx': '' });
    await symlink('nowhere', repository.path('dangling'));
    await symlink('circle', repository.path('circle'));
    await symlink('nowhere.yaml', repository.path('bad/2/model.yaml'));
    await mkdir(repository.path('bad/1'));
    await symlink('nowhere.onnx', repository.path('bad/1/model.onnx'));
    const found = await scan(repository);
    expect(found.served).toEqual(['good/1']);
    expect(found.problems).toEqual([
      'bad/1/model.onnx: cannot be read: it does not exist',
      'bad/2/model.yaml: cannot be read: it does not exist',
      'circle: cannot be read: its links go round in a circle',
      'dangling: cannot be read: it does not exist',
    ]);
  });

  it('more models or versions than the limits allow', async () => {
    await using repository = await createTemporaryRepository({
      'a/1/model.onnx': '',
      'a/2/model.onnx': '',
      'a/3/model.onnx': '',
      'b/1/model.onnx': '',
      'c/1/model.onnx': '',
    });
    const found = await scan(repository, { maxModels: 2, maxVersionsPerModel: 2 });
    expect(found.served).toEqual(['a/2', 'a/3', 'b/1']);
    expect(found.problems).toEqual([
      'a: more than 2 versions; only the newest are served',
      '.: more than 2 models; c and those after it are not served',
    ]);
  });

  it.each([
    ['missing', 'nowhere', /it does not exist; create it or set its path$/],
    ['a file', 'good/1/model.onnx', /it is not a folder/],
  ])('a repository that is %s', async (_, path, expected) => {
    await using repository = await createTemporaryRepository(GOOD);
    const { entries, problems } = await scanRepository(repository.path(path));
    expect(entries).toEqual([]);
    expect(problems).toEqual([expect.objectContaining({ code: 'repository' })]);
    expect(problems.map(formatProblem).join()).toMatch(expected);
  });
});

describe('nothing outside is read', () => {
  it.each([
    ['the model folder', (inside: TemporaryRepository, out: string) => symlink(`${out}/m`, inside.path('m'))],
    [
      'the version folder',
      async (inside: TemporaryRepository, out: string) => {
        await mkdir(inside.path('m'));
        await symlink(`${out}/m/1`, inside.path('m/1'));
      },
    ],
    [
      'model.onnx',
      async (inside: TemporaryRepository, out: string) => {
        await mkdir(inside.path('m/1'), { recursive: true });
        await symlink(`${out}/m/1/model.onnx`, inside.path('m/1/model.onnx'));
      },
    ],
    [
      'model.yaml',
      async (inside: TemporaryRepository, out: string) => {
        await inside.write({ 'm/1/model.onnx': '' });
        await symlink(`${out}/secret`, inside.path('m/1/model.yaml'));
      },
    ],
  ])('through a link of %s', async (_, link) => {
    await using outside = await createTemporaryRepository({ 'm/1/model.onnx': '', secret: 'key: hunter2' });
    await using inside = await createTemporaryRepository();
    await link(inside, outside.folder);
    const found = await scan(inside);
    expect(found.served).toEqual([]);
    expect(found.problems).toEqual([expect.stringMatching(/is a link that leaves the repository/)]);
    expect(found.problems.join()).not.toContain('hunter2');
  });

  it.each(['../../etc/passwd', '/etc/passwd', '../labels.txt', 'sub/../../labels.txt', '.', '..'])(
    'through labels: %s',
    async (labels) => {
      await using repository = await createTemporaryRepository({
        'm/labels.txt': 'a',
        'm/1/model.onnx': '',
        'm/1/model.yaml': `labels: "${labels}"`,
      });
      const found = await scan(repository);
      expect(found.served).toEqual([]);
      expect(found.problems).toEqual([
        expect.stringMatching(/^m\/1\/model\.yaml:1: labels: .*(leaves the version folder|is not a file)/),
      ]);
    },
  );

  it.each(['the link itself', 'a folder on the way'])('through labels behind a link: %s', async (which) => {
    await using repository = await createTemporaryRepository({
      'm/labels.txt': 'a',
      'm/1/model.onnx': '',
      'm/1/model.yaml': `labels: ${which === 'the link itself' ? 'link.txt' : 'up/labels.txt'}`,
    });
    await symlink('../labels.txt', repository.path('m/1/link.txt'));
    await symlink('..', repository.path('m/1/up'));
    const found = await scan(repository);
    expect(found.served).toEqual([]);
    expect(found.problems).toEqual([expect.stringMatching(/labels: .* leaves the version folder/)]);
  });

  it('but labels in the version folder, and below it, are', async () => {
    await using repository = await createTemporaryRepository({
      'm/model.yaml': 'labels: texts/labels.txt',
      'm/1/model.onnx': '',
      'm/1/texts/labels.txt': 'eins\r\nzwei\r\n\r\n',
      'm/2/model.onnx': '',
      'm/2/texts/labels.txt': '\ufeffun\ndeux',
      'm/3/model.onnx': '',
      'm/3/model.yaml': 'labels: [one, two]',
    });
    const found = await scan(repository);
    expect(found.problems).toEqual([]);
    expect(found.entries.map((entry) => entry.labels)).toEqual([
      ['eins', 'zwei'],
      ['un', 'deux'],
      ['one', 'two'],
    ]);
  });
});

describe('a second scan', () => {
  it('tells what to load, to replace and to drop', async () => {
    await using repository = await createTemporaryRepository({
      'stays/1/model.onnx': '',
      'goes/1/model.onnx': '',
      'changes/1/model.onnx': 'a',
      'relabelled/1/model.onnx': '',
      'relabelled/1/model.yaml': 'labels: l.txt',
      'relabelled/1/l.txt': 'a',
    });
    const before = (await scanRepository(repository.folder)).entries;
    expect(diffRepository(before, before)).toEqual({ added: [], changed: [], removed: [] });

    await rm(repository.path('goes'), { recursive: true });
    await repository.write({
      'comes/1/model.onnx': '',
      'changes/1/model.yaml': 'instances: 2',
      'relabelled/1/l.txt': 'b',
    });
    await utimes(repository.path('relabelled/1/l.txt'), 1, 1);
    const after = (await scanRepository(repository.folder)).entries;
    const { added, changed, removed } = diffRepository(before, after);
    expect(added.map((entry) => entry.name)).toEqual(['comes']);
    expect(removed.map((entry) => entry.name)).toEqual(['goes']);
    expect(changed.map(({ after: entry }) => entry.name)).toEqual(['changes', 'relabelled']);
    expect(changed[0]?.before.manifest.instances).toBe(1);
    expect(changed[0]?.after.manifest.instances).toBe(2);
  });
});
