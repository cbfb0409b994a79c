import { expect, test } from 'vitest';
import { HeaderText } from './header_text.ts';

const VALUES = [0, 1, 10, 100, 999, 1000, 1001, 1010, 1200, 999_999, 1_000_000, 2 ** 31, 2 ** 40, 2 ** 50];
for (let value = 0; value < 20_000; value += 7) VALUES.push(value);

test('numbers read as the runtime writes them', () => {
  const text = new HeaderText();
  for (const value of VALUES) {
    text.begin();
    text.whole(value);
    text.text(' ');
    text.thousandths(value);
    expect(text.toString()).toBe(`${value} ${value / 1000}`);
  }
});

test('thousandths below zero keep their sign', () => {
  const text = new HeaderText();
  text.begin();
  text.thousandths(-1500);
  text.text(',');
  text.thousandths(-7);
  expect(text.toString()).toBe('-1.5,-0.007');
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, 0.5])(
  '%d, which is no whole number, is written as 0',
  (value) => {
    const text = new HeaderText();
    text.begin();
    text.whole(value);
    text.text(',');
    text.thousandths(value);
    expect(text.toString()).toBe('0,0');
  },
);

test('what goes beyond the limit is cut off, and the next text is whole', () => {
  const text = new HeaderText();
  text.begin();
  text.text('x'.repeat(1022));
  text.whole(123_456);
  text.thousandths(123_456);
  text.text('after');
  expect(text.toString()).toBe(`${'x'.repeat(1022)}12`);
  text.begin();
  text.text('next');
  expect(text.toString()).toBe('next');
});
