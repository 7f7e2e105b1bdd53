import { reconstruct, type Firing, type Reconstructed } from './reconstruction.ts';
import type { Tensor, Tensorflow } from './tensorflow.ts';

/** `reconstruct` of a batch, at most so many samples at a time. */
export function inChunks(tf: Tensorflow, firing: Firing, samples: number): Reconstructed {
  const [batch = 0] = firing.values.shape;
  if (samples >= batch) return tf.tidy(() => plain(reconstruct(tf, firing)));
  const parts: Reconstructed[] = [];
  for (let first = 0; first < batch; first += samples) {
    const rows = (tensor: Tensor): Tensor =>
      tf.slice(tensor, [first, 0], [Math.min(samples, batch - first), -1]);
    const { values, indices, target } = firing;
    parts.push(
      tf.tidy(() =>
        plain(
          reconstruct(tf, {
            ...firing,
            values: rows(values),
            indices: rows(indices),
            target: rows(target),
          }),
        ),
      ),
    );
  }
  return joined(tf, parts);
}

function joined(tf: Tensorflow, parts: readonly Reconstructed[]): Reconstructed {
  const sum = (of: (part: Reconstructed) => Tensor): Tensor =>
    parts.map(of).reduce((total, one) => tf.add(total, one));
  return {
    loss: sum(part => part.loss),
    squaredError: sum(part => part.squaredError),
    residual: tf.concat(
      parts.map(part => part.residual),
      0,
    ),
    slopes: tf.concat(
      parts.map(part => part.slopes),
      0,
    ),
    decoderGradient: sum(part => part.decoderGradient),
    biasGradient: sum(part => part.biasGradient),
  };
}

/** As tidy wants it: an object with an index signature. */
function plain(part: Reconstructed): { [name in keyof Reconstructed]: Tensor } {
  return { ...part };
}
