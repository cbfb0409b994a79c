/** Text that others wrote, made safe to print, post and show. */
import { stripVTControlCharacters } from 'node:util';

/** C0 and C1 controls but line feed and tab, and marks that hide text or reverse its direction. */
const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Text for people: no escape sequence, no control character, no reversal. */
export function cleanText(text: string): string {
  return stripVTControlCharacters(text).replace(UNSAFE, '');
}
