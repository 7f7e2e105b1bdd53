import type { Device } from '../../contracts/engine.ts';
import { keepsOutputs } from '../../onnx/devices.ts';
import { outputWidthOf, type Dictionary } from '../../saes/dictionary.ts';
import { runsOn } from '../../saes/encoderGraph.ts';
import { readingGraph, readings } from '../../saes/readingGraph.ts';
import type { Residual } from '../../saes/residualsGraph.ts';
import { type Activations, rowsOf, tensorOf } from '../sessions/activations.ts';
import type { ReadySae } from './readySae.ts';
import type { ReadRequest, SaeReading } from './saeReading.ts';
import { RunReadings } from './runReadings.ts';
import { mostActive, type SaeRunnerOptions } from './saeRunner.ts';
import { openSession, type Session } from '../sessions/session.ts';
import { float32Tensor, int64Tensor } from '../sessions/tensors.ts';
import { cellLength } from '../analysis/windows.ts';

/**
 * Bytes of weights up to which they are within the graph, and four times in memory while it is opened. SAEs with more
 * read activations here.
 */
const mostBytes = 2 ** 29;

/** Numbers of one run: pre-activations (t, F), and decoder rows (t, K, O). */
const numbersPerRun = 2 ** 23;

export interface DeviceSaeOptions extends SaeRunnerOptions {
  readonly numbersPerRun?: number;
}

/** Whether SAEs that read the same activations are read where those of the model lie. */
export function readsOnDevice(saes: readonly Dictionary[], device: Device = 'cpu'): boolean {
  return (
    keepsOutputs(device) && saes.every(sae => runsOn(device, sae)) && weightBytes(saes) <= mostBytes
  );
}

/** Of the encoders and the decoders, which are all within the graph. */
function weightBytes(saes: readonly Dictionary[]): number {
  return saes.reduce(
    (sum, { encoder, decoder }) => sum + encoder.byteLength + decoder.byteLength,
    0,
  );
}

/**
 * A base and the residual SAEs of its domains that read activations where they lie: what they say of them is all that leaves
 * the device.
 */
export class DeviceSae implements ReadySae {
  readonly dictionary: Dictionary;
  readonly readsOnDevice = true;
  readonly maxK: number;
  private readonly residuals: readonly Residual[];
  private readonly session: Session;
  private readonly numbersPerRun: number;

  private constructor(
    dictionary: Dictionary,
    residuals: readonly Residual[],
    session: Session,
    options: DeviceSaeOptions,
  ) {
    this.dictionary = dictionary;
    this.maxK = mostActive(dictionary, options.maxActive);
    this.residuals = residuals;
    this.session = session;
    this.numbersPerRun = options.numbersPerRun ?? numbersPerRun;
  }

  static async open(
    dictionary: Dictionary,
    residuals: readonly Residual[],
    options: DeviceSaeOptions,
  ): Promise<DeviceSae> {
    const maxK = mostActive(dictionary, options.maxActive);
    const { threads, device = 'cpu', deviceFailed } = options;
    const session = await openSession(() => readingGraph(dictionary, maxK, residuals), {
      ...{ threads, device, deviceFailed, allowSpinning: false },
    });
    return new DeviceSae(dictionary, residuals, session, options);
  }

  async read({ x, target, from, startsWindow }: ReadRequest): Promise<SaeReading> {
    const { dictionary } = this;
    const tokens = rowsOf(x, dictionary.inputWidth) - from;
    const reading = new RunReadings(dictionary, this.residuals, tokens, this.maxK);
    const step = this.rowsPerRun();
    for (let first = 0; first < tokens; first += step) {
      const end = Math.min(first + step, tokens);
      const leavesOutFirst = startsWindow && first === 0 && dictionary.tokenPolicy.excludeFirst;
      const outputs = await this.session.run({
        ...this.given(x, target),
        [readings.from]: int64Tensor([from + first], [1]),
        [readings.to]: int64Tensor([from + end], [1]),
        [readings.cells]: cellsOf(end - first, leavesOutFirst),
      });
      reading.add(outputs, first, leavesOutFirst);
    }
    return reading.whole();
  }

  get weightBytes(): number {
    return weightBytes(this.saes);
  }

  dispose(): Promise<void> {
    return this.session.dispose();
  }

  private get saes(): readonly Dictionary[] {
    return [this.dictionary, ...this.residuals.map(({ dictionary }) => dictionary)];
  }

  /** Whole cells. */
  private rowsPerRun(): number {
    const features = this.saes.reduce((sum, { width }) => sum + width, 0);
    const each = Math.max(features, this.maxK * outputWidthOf(this.dictionary));
    return Math.max(1, Math.floor(this.numbersPerRun / each / cellLength)) * cellLength;
  }

  private given(x: Activations, target: Activations) {
    const { inputWidth, output } = this.dictionary;
    return {
      [readings.x]: tensorOf(x, inputWidth),
      ...(output && { [readings.target]: tensorOf(target, output.width) }),
    };
  }
}

/** To which cell each row belongs, (C, t). */
function cellsOf(rows: number, leavesOutFirst: boolean) {
  const count = Math.ceil(rows / cellLength);
  const cells = new Float32Array(count * rows);
  for (let row = 0; row < rows; row++) cells[Math.floor(row / cellLength) * rows + row] = 1;
  if (leavesOutFirst) cells[0] = 0;
  return float32Tensor(cells, [count, rows]);
}
