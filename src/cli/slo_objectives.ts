/** The file of objectives as the commands read it, and the models that it may name. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { VitrineError } from '../contract/errors.ts';
import type { KnownModel } from '../slo/indicator.ts';
import { type ObjectivesFile, readObjectives } from '../slo/objectives.ts';

/**
 * Models of a repository by its folders: a model is a folder with folders of numbers, its versions.
 * @returns undefined when there is no such folder
 */
export function modelsOf(repository: string): KnownModel[] | undefined {
  try {
    return readdirSync(repository, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => ({
        name,
        versions: readdirSync(join(repository, name)).filter((version) => /^[1-9]\d{0,8}$/.test(version)),
      }))
      .filter(({ versions }) => versions.length > 0);
  } catch {
    return undefined;
  }
}

export interface ReadFile extends ObjectivesFile {
  /** Whether names of models could be held to the repository. */
  readonly modelsKnown: boolean;
}

/** @throws VitrineError when the file cannot be read */
export function readObjectivesFile(path: string, repository: string): ReadFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new VitrineError(
      'not_found',
      `${path} cannot be read (${(error as NodeJS.ErrnoException).code}); name the file with --file, or set VITRINE_SLO_PATH`,
      { cause: error },
    );
  }
  const models = modelsOf(repository);
  return { ...readObjectives(text, { path, models }), modelsKnown: models !== undefined };
}
