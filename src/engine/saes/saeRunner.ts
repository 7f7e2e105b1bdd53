import { throwIfCancelled } from '../../common/cancelled.ts';
import { Failure } from '../../common/failure.ts';
import type { Device } from '../../contracts/engine.ts';
import { largestK, outputWidthOf, type Dictionary } from '../../saes/dictionary.ts';
import { encoderGraph, runsOn } from '../../saes/encoderGraph.ts';
import {
  prefixErrors,
  reconstruct,
  type Encoding,
  type PrefixErrors,
} from '../../saes/reconstruct.ts';
import { openSession, type Session, type SessionOptions } from '../sessions/session.ts';
import { float32Tensor, float32Values, indexValues, type Tensor } from '../sessions/tensors.ts';

export interface SaeRunnerOptions {
  readonly threads: number;
  /** The CPU unless given; SAEs that the device cannot run are the CPU's. */
  readonly device?: Device | undefined;
  /** As of a session's. */
  readonly deviceFailed?: SessionOptions['deviceFailed'];
  /** Bytes of the encoder's weights from which on they are fed with each run. */
  readonly fedBytes?: number;
  /**
   * K of an SAE that bounds none itself (relu, jumprelu, gated): of the features that fire on a token, the strongest this many
   * are kept.
   */
  readonly maxActive?: number;
}

/**
 * Encoders from this size on are fed with each run: within the graph they are in memory four times while it is opened,
 * and a graph may have 2 GiB.
 */
const fedBytes = 2 ** 27;

/** An SAE ready to run: the encoder in onnxruntime, the sparse decoder in plain loops. */
export class SaeRunner {
  readonly dictionary: Dictionary;
  /** K, features kept per token. */
  readonly maxK: number;
  private readonly session: Session;
  /** The encoder's weights, of large SAEs: onnxruntime uses them where they are. */
  private readonly fed: Readonly<Record<string, Tensor>>;

  private constructor(
    dictionary: Dictionary,
    maxK: number,
    session: Session,
    fed: Readonly<Record<string, Tensor>>,
  ) {
    this.dictionary = dictionary;
    this.maxK = maxK;
    this.session = session;
    this.fed = fed;
  }

  static async open(dictionary: Dictionary, options: SaeRunnerOptions): Promise<SaeRunner> {
    const { width, inputWidth, encoder } = dictionary;
    const maxK = mostActive(dictionary, options.maxActive);
    const isLarge = encoder.byteLength >= (options.fedBytes ?? fedBytes);
    const asked = options.device ?? 'cpu';
    const device = runsOn(asked, dictionary) ? asked : 'cpu';
    const graph = () => encoderGraph(dictionary, maxK, { fed: isLarge, device });
    const session = await openSession(graph, {
      threads: options.threads,
      device,
      deviceFailed: options.deviceFailed,
      allowSpinning: false,
    });
    const fed = isLarge ? { encoder: float32Tensor(encoder, [width, inputWidth]) } : {};
    return new SaeRunner(dictionary, maxK, session, fed);
  }

  /** The strongest features of every token of `x` (T, D). */
  async encode(x: Float32Array, signal?: AbortSignal): Promise<Encoding> {
    const { inputWidth: D, width: F } = this.dictionary;
    const tokens = x.length / D;
    const k = this.maxK;
    if (!Number.isInteger(tokens)) {
      throw new Failure(
        'mismatch',
        `Activations of ${x.length} numbers are not rows of width ${D}, the SAE's.`,
      );
    }
    const features = new Uint32Array(tokens * k);
    const activations = new Float32Array(tokens * k);
    const O = outputWidthOf(this.dictionary);
    let scale: Float32Array | undefined; // (T)
    let start: Float32Array | undefined; // (T, O)
    // Pre-activations (T, F) of one run stay within 32 MB.
    const step = Math.max(16, Math.floor(2 ** 23 / F));
    for (let first = 0; first < tokens; first += step) {
      throwIfCancelled(signal);
      const rows = x.subarray(first * D, (first + step) * D);
      const result = await this.session.run({
        x: float32Tensor(rows, [rows.length / D, D]),
        ...this.fed,
      });
      activations.set(float32Values(result['activations']), first * k);
      features.set(featureNumbers(result['features']), first * k);
      if (result['scale']) {
        (scale ??= new Float32Array(tokens)).set(float32Values(result['scale']), first);
      }
      if (result['start']) {
        (start ??= new Float32Array(tokens * O)).set(float32Values(result['start']), first * O);
      }
    }
    return { k, features, activations, scale, start };
  }

  /**
   * |x - xhat_k|^2 for every prefix k = 1..K, (T, K), x as `targetOf` gives it; with its inner products with what residual SAEs
   * add, n times (T, D).
   */
  prefixErrors(
    x: Float32Array,
    encoding: Encoding,
    residuals: readonly Float32Array[] = [],
  ): PrefixErrors {
    return prefixErrors(this.dictionary, x, encoding, residuals);
  }

  /** The reconstruction from the k strongest features, (T, O). */
  reconstruct(encoding: Encoding, k: number): Float32Array {
    return reconstruct(this.dictionary, encoding, k);
  }

  async dispose(): Promise<void> {
    await this.session.dispose();
  }
}

/** K: features kept per token of an SAE; `maxActive` of one that bounds none itself. */
export function mostActive({ rule, width }: Dictionary, maxActive = 64): number {
  return Math.min(largestK(rule) ?? maxActive, width);
}

function featureNumbers(tensor: Tensor | undefined): ArrayLike<number> {
  return tensor?.data instanceof Int32Array ? tensor.data : indexValues(tensor);
}
