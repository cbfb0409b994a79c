/** FP16 (IEEE 754 binary16) as bits, to and from numbers. */

/** From here on a number is nearer to infinity than to the largest FP16, 65504. */
export const FP16_OVERFLOW = 65_520;

const SMALLEST_NORMAL = 2 ** -14;
const SUBNORMAL_SCALE = 2 ** 24;
const SIGN = 0x8000;
const INFINITY_BITS = 0x7c00;
const NAN_BITS = 0x7e00;

const float64 = new Float64Array(1);
const words = new Uint32Array(float64.buffer);

/** Rounds 0 <= x < 2^52 to the nearest integer, ties to even: the sum has no bits left below one. */
function roundTiesToEven(x: number): number {
  return x + 2 ** 52 - 2 ** 52;
}

/**
 * The FP16 nearest to a number, ties to even. It rounds once, from the double: going through FP32 would
 * round some numbers twice. From 65520 on the result is infinity.
 */
export function toFloat16Bits(value: number): number {
  if (Number.isNaN(value)) return NAN_BITS;
  float64[0] = value;
  const high = words[1] ?? 0;
  const sign = (high >>> 16) & SIGN;
  const magnitude = Math.abs(value);
  if (magnitude >= FP16_OVERFLOW) return sign | INFINITY_BITS;
  if (magnitude < SMALLEST_NORMAL) return sign | roundTiesToEven(magnitude * SUBNORMAL_SCALE);
  const exponent = ((high >>> 20) & 0x7ff) - 1023;
  // 1024 <= significand <= 2048; a carry to 2048 moves into the exponent's field by itself.
  const significand = roundTiesToEven(magnitude * 2 ** (10 - exponent));
  return sign | (((exponent + 15) << 10) + (significand - 1024));
}

/** The number that FP16 bits stand for. */
export function fromFloat16Bits(bits: number): number {
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  const sign = (bits & SIGN) === 0 ? 1 : -1;
  if (exponent === 0) return (sign * fraction) / SUBNORMAL_SCALE;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}
