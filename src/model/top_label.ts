/** Postprocess `top_label`: from FP32 [n, classes], the label of each row's greatest value, and that value. */
import { VitrineError } from '../contract/errors.ts';
import { describeShape, type Tensor } from '../contract/tensors.ts';
import type { PostprocessPlan } from './model_info.ts';

type TopLabelPlan = Extract<PostprocessPlan, { readonly type: 'top_label' }>;

/**
 * Built once per model: encodes the labels. Of equal values the first class wins. A row without any number
 * (all NaN) gets an empty label and NaN, so that it does not fail its neighbours in the batch.
 * @returns from the graph's outputs to the public ones: label, probability, then the others
 */
export function createTopLabel(plan: TopLabelPlan): (outputs: readonly Tensor[]) => Tensor[] {
  const encoder = new TextEncoder();
  const encoded = plan.labels.map((label) => encoder.encode(label));
  return (outputs) => {
    const scores = outputs.find((output) => output.name === plan.tensor);
    const values = scores?.data;
    const classes = encoded.length;
    const fits = scores?.datatype === 'FP32' && scores.shape.length === 2 && scores.shape[1] === classes;
    if (scores === undefined || !fits || !(values instanceof Float32Array)) {
      const given = scores === undefined ? 'nothing' : `${scores.datatype} ${describeShape(scores.shape)}`;
      throw new VitrineError(
        'model_failed',
        `the model's output ${JSON.stringify(plan.tensor)} is ${given}; top_label needs FP32 [n, ${classes}]`,
      );
    }
    const rows = scores.shape[0] ?? 0;
    const probabilities = new Float32Array(rows);
    const classOfRow = new Int32Array(rows);
    let labelBytes = 0;
    for (let row = 0; row < rows; row += 1) {
      let best = -1;
      let greatest = Number.NaN;
      for (let index = 0; index < classes; index += 1) {
        const value = values[row * classes + index] ?? Number.NaN;
        if (value > greatest || (best < 0 && !Number.isNaN(value))) {
          best = index;
          greatest = value;
        }
      }
      classOfRow[row] = best;
      probabilities[row] = greatest;
      labelBytes += encoded[best]?.length ?? 0;
    }
    // Fresh memory, because the outputs may be transferred to another thread.
    const buffer = new ArrayBuffer(labelBytes);
    const labels: Uint8Array[] = [];
    let at = 0;
    for (const best of classOfRow) {
      const source = encoded[best];
      const label = new Uint8Array(buffer, at, source?.length ?? 0);
      if (source !== undefined) label.set(source);
      labels.push(label);
      at += label.length;
    }
    return [
      { name: plan.label, datatype: 'BYTES', shape: [rows], data: labels },
      { name: plan.probability, datatype: 'FP32', shape: [rows], data: probabilities },
      ...outputs.filter((output) => plan.keep || output !== scores),
    ];
  };
}
