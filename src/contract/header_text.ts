/**
 * Builds the text of headers that every query carries, in bytes that are reused: one text is made at the end, where
 * adding texts and numbers up would make a dozen of each.
 *
 * Limits: HEADER_TEXT_LIMIT_CHARS; what goes beyond is cut off. ASCII only.
 */
const HEADER_TEXT_LIMIT_CHARS = 1024;

const ZERO = 0x30;
const POINT = 0x2e;

export class HeaderText {
  readonly #bytes = Buffer.allocUnsafeSlow(HEADER_TEXT_LIMIT_CHARS);
  #length = 0;

  begin(): void {
    this.#length = 0;
  }

  /** @param text ASCII */
  text(text: string): void {
    const bytes = this.#bytes;
    let at = this.#length;
    for (let index = 0; index < text.length; index += 1) {
      bytes[at] = text.charCodeAt(index);
      at += 1;
    }
    this.#length = Math.min(at, HEADER_TEXT_LIMIT_CHARS);
  }

  /** A whole number of at least 0; anything else is written as `0`. */
  whole(value: number): void {
    if (!(value >= 1) || !Number.isSafeInteger(value)) {
      this.text('0');
      return;
    }
    let digits = 0;
    for (let rest = value; rest >= 1; rest = Math.floor(rest / 10)) digits += 1;
    const bytes = this.#bytes;
    const end = this.#length + digits;
    let rest = value;
    for (let at = end - 1; at >= this.#length; at -= 1) {
      const tenth = Math.floor(rest / 10);
      bytes[at] = ZERO + (rest - tenth * 10);
      rest = tenth;
    }
    this.#length = Math.min(end, HEADER_TEXT_LIMIT_CHARS);
  }

  /** A whole number of thousandths as a decimal without trailing zeros: 1200 → `1.2`; what is none is written as `0`. */
  thousandths(value: number): void {
    if (!Number.isSafeInteger(value)) {
      this.text('0');
      return;
    }
    if (value < 0) {
      this.text('-');
      this.thousandths(-value);
      return;
    }
    const whole = Math.floor(value / 1000);
    this.whole(whole);
    let rest = value - whole * 1000;
    if (rest === 0) return;
    const bytes = this.#bytes;
    bytes[this.#length] = POINT;
    let at = this.#length + 1;
    for (let place = 100; rest > 0; place /= 10) {
      const digit = Math.floor(rest / place);
      bytes[at] = ZERO + digit;
      at += 1;
      rest -= digit * place;
    }
    this.#length = Math.min(at, HEADER_TEXT_LIMIT_CHARS);
  }

  toString(): string {
    return this.#bytes.latin1Slice(0, this.#length);
  }
}

declare global {
  interface Buffer {
    /** Node's own, absent from its types. */
    latin1Slice(start: number, end: number): string;
  }
}
