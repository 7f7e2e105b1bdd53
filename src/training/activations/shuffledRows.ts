import { Failure } from '../../common/failure.ts';
import type { TokenPolicy } from '../../saes/dictionary.ts';
import { excludedTokens } from '../../saes/tokenPolicy.ts';
import type { ActivationSource, ActivationWindow } from './activations.ts';
import type { TrainingArrays } from '../backend.ts';
import { randomStream, streams } from '../seeds.ts';

/** Where in the shuffled text the next batch comes from; saved in checkpoints. */
export interface RowPosition {
  readonly pass: number;
  readonly round: number;
  readonly batch: number;
  /** How many windows the source had when each pass began: a store may grow. */
  readonly passWindows: readonly number[];
}

export const firstRow: RowPosition = { pass: 0, round: 0, batch: 0, passWindows: [] };

export interface RowOptions {
  readonly seed: number;
  readonly batch: number; // B
  /** Windows per round, the buffer within which rows are shuffled. */
  readonly roundWindows: number;
  /** Windows never given out. */
  readonly heldOut: ReadonlySet<number>;
  readonly policy: TokenPolicy;
  /** Factors of what is read and of what is to be reconstructed. */
  readonly scale: number;
  readonly targetScale: number;
}

/**
 * Endless batches of activations. Each pass goes over all windows in an order of its own, cut into rounds; a round's
 * tokens are shuffled, and what does not fill a batch is left over. All orders come from the seed and the position, so
 * that reading on from a position gives what an uninterrupted reading gives.
 */
export class ShuffledRows {
  private readonly source: ActivationSource;
  private readonly options: RowOptions;
  private at: RowPosition;
  private loaded:
    { readonly windows: readonly ActivationWindow[]; readonly rows: Uint32Array } | undefined;

  constructor(source: ActivationSource, options: RowOptions, position: RowPosition) {
    this.source = source;
    this.options = options;
    this.at = position;
  }

  get position(): RowPosition {
    return this.at;
  }

  /** Fills `input` (B, stride) with scaled rows of D, and `target` with theirs where windows have targets of their own. */
  async next(
    { input, target, stride }: Pick<TrainingArrays, 'input' | 'target' | 'stride'>,
    signal?: AbortSignal,
  ): Promise<void> {
    const { batch, scale, targetScale } = this.options;
    const { windows, rows } = await this.roundWithBatch(signal);
    const { width, windowLength } = this.source;
    for (let b = 0; b < batch; b++) {
      const row = rows[this.at.batch * batch + b] ?? 0;
      const window = windows[Math.floor(row / windowLength)];
      const from = (row % windowLength) * width;
      for (let i = 0; i < width; i++) {
        input[b * stride + i] = scale * (window?.activations[from + i] ?? NaN);
      }
      if (!window?.target) continue;
      for (let i = 0; i < width; i++) {
        target[b * stride + i] = targetScale * (window.target[from + i] ?? NaN);
      }
    }
    this.at = { ...this.at, batch: this.at.batch + 1 };
  }

  private async roundWithBatch(signal?: AbortSignal): Promise<NonNullable<typeof this.loaded>> {
    const { batch } = this.options;
    for (let emptyRounds = 0; ;) {
      this.loaded ??= await this.load(signal);
      if ((this.at.batch + 1) * batch <= this.loaded.rows.length) return this.loaded;
      if (this.at.batch === 0 && ++emptyRounds > 1 + this.rounds) {
        throw new Failure('empty', `The text gives fewer tokens than one batch of ${batch}.`, {
          action: 'Add text, or choose a smaller batch.',
        });
      }
      this.loaded = undefined;
      const { pass, round, passWindows } = this.at;
      this.at =
        round + 1 < this.rounds
          ? { pass, round: round + 1, batch: 0, passWindows }
          : { pass: pass + 1, round: 0, batch: 0, passWindows };
    }
  }

  private get rounds(): number {
    const windows = (this.at.passWindows[this.at.pass] ?? 0) - this.options.heldOut.size;
    return Math.max(1, Math.ceil(windows / this.options.roundWindows));
  }

  private async load(signal?: AbortSignal): Promise<NonNullable<typeof this.loaded>> {
    const { pass, round } = this.at;
    if (this.at.passWindows[pass] === undefined) {
      await this.source.refresh?.();
      this.at = { ...this.at, passWindows: [...this.at.passWindows, this.source.windows] };
    }
    const { seed, policy, heldOut } = this.options;
    const order = Uint32Array.from(
      Array.from({ length: this.at.passWindows[pass] ?? 0 }, (_, i) => i).filter(
        i => !heldOut.has(i),
      ),
    );
    randomStream(seed, streams.windows, pass).shuffle(order);
    const size = Math.ceil(order.length / this.rounds);
    const chosen = order.slice(round * size, (round + 1) * size).sort();
    const windows: ActivationWindow[] = [];
    const rows: number[] = [];
    const { windowLength, width } = this.source;
    for (const index of chosen) {
      const [window] = await this.source.read(index, 1, signal);
      if (!window) throw new Failure('internal', `Window ${index} of the activations is missing.`);
      excludedTokens(window.activations, width, true, policy).forEach((excluded, t) => {
        if (excluded === 0) rows.push(windows.length * windowLength + t);
      });
      windows.push(window);
    }
    const shuffled = randomStream(seed, streams.rows, pass, round).shuffle(Uint32Array.from(rows));
    return { windows, rows: shuffled };
  }
}
