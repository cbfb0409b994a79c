/** Colours can be told apart, and read, in both themes. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { STAGES, UNATTRIBUTED } from './names.js';

const css = readFileSync(new URL('./palette.css', import.meta.url), 'utf8');
type Lab = readonly [lightness: number, a: number, b: number];

function colorOf(name: string, theme: 0 | 1): Lab {
  const [, light, dark] =
    new RegExp(`--${name}: light-dark\\(oklch\\(([^)]*)\\), oklch\\(([^)]*)\\)\\)`).exec(css) ?? [];
  const text = theme === 0 ? light : dark;
  if (text === undefined) throw new Error(`no colour ${name}`);
  const [lightness = 0, chroma = 0, hue = 0] = text.split(' ').map((part) => Number(part.replace('%', '')));
  const radians = (hue / 180) * Math.PI;
  return [lightness / 100, chroma * Math.cos(radians), chroma * Math.sin(radians)];
}

function distance(x: Lab, y: Lab): number {
  return Math.hypot(x[0] - y[0], x[1] - y[1], x[2] - y[2]);
}

/** Relative luminance as WCAG has it: OKLab to linear sRGB (https://bottosson.github.io/posts/oklab/), then its weights. */
function luminance([lightness, a, b]: Lab): number {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const clamp = (value: number): number => Math.min(1, Math.max(0, value));
  const red = clamp(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s);
  const green = clamp(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s);
  const blue = clamp(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(x: Lab, y: Lab): number {
  const [bright, dim] = [luminance(x), luminance(y)].sort((p, q) => q - p) as [number, number];
  return (bright + 0.05) / (dim + 0.05);
}

const stageColor = (stage: string): string => `stage-${stage.replaceAll('_', '-')}`;

describe.each([
  ['light', 0],
  ['dark', 1],
] as const)('%s', (_, theme) => {
  test('no two stages look alike, neighbours least of all', () => {
    const colors = STAGES.map((stage) => [stage, colorOf(stageColor(stage), theme)] as const);
    for (const [index, [stage, color]] of colors.entries()) {
      for (const [other, otherColor] of colors.slice(index + 1)) {
        expect(distance(color, otherColor), `${stage} and ${other}`).toBeGreaterThan(0.06);
      }
      const next = colors[index + 1];
      if (next !== undefined)
        expect(distance(color, next[1]), `${stage} and ${next[0]}`).toBeGreaterThan(0.12);
    }
  });

  test('stages and bars stand out from the panel, and their labels from them', () => {
    const panel = colorOf('panel', theme);
    for (const stage of [...STAGES, UNATTRIBUTED]) {
      expect(contrast(colorOf(stageColor(stage), theme), panel), stage).toBeGreaterThanOrEqual(3);
    }
    for (const stage of STAGES) {
      expect(
        contrast(colorOf(stageColor(stage), theme), colorOf('on-stage', theme)),
        stage,
      ).toBeGreaterThanOrEqual(4.5);
    }
    for (const index of [0, 1, 2, 3, 4, 5]) {
      expect(contrast(colorOf(`service-${index}`, theme), colorOf('on-stage', theme))).toBeGreaterThanOrEqual(
        4.5,
      );
    }
  });

  test('text can be read on every ground that it stands on', () => {
    const pairs = [
      ...['ink', 'muted', 'accent', 'bad', 'good', 'warn'].flatMap((text) =>
        ['bg', 'panel', 'sunken'].map((ground) => [text, ground]),
      ),
      ...['ink', 'muted', 'accent', 'bad'].map((text) => [text, 'accent-soft']),
      ['accent-ink', 'accent'],
      ['good', 'good-soft'],
      ['bad', 'bad-soft'],
      ['warn', 'warn-soft'],
    ] as [string, string][];
    for (const [text, ground] of pairs) {
      expect(
        contrast(colorOf(text, theme), colorOf(ground, theme)),
        `${text} on ${ground}`,
      ).toBeGreaterThanOrEqual(4.5);
    }
    for (const ground of ['bg', 'panel']) {
      expect(contrast(colorOf('line-strong', theme), colorOf(ground, theme)), ground).toBeGreaterThanOrEqual(
        3,
      );
    }
  });
});
