import type { Device } from '../../contracts/engine.ts';
import { keepsOutputs } from '../../onnx/devices.ts';
import { outputWidthOf, type Dictionary } from '../../saes/dictionary.ts';
import { runsOn } from '../../saes/encoderGraph.ts';
import { readingGraph, readings } from '../../saes/readingGraph.ts';
import { type Activations, rowsOf, tensorOf } from '../sessions/activations.ts';
import type { AnalysisSae, ReadRequest } from '../analysis/analysis.ts';
import type { SaeReading } from '../analysis/cells.ts';
import type { CellStatistics } from '../analysis/cellStatistics.ts';
import { mostActive, type SaeRunnerOptions } from './saeRunner.ts';
import {
  float32Tensor,
  float32Values,
  indexValues,
  int64Tensor,
  openSession,
  type Session,
} from '../sessions/session.ts';
import { cellLength } from '../analysis/windows.ts';

/**
 * Bytes of weights up to which they are within the graph, and four times in memory while it is opened. An SAE with more
 * reads activations here.
 */
const mostBytes = 2 ** 29;

/** Numbers of one run: pre-activations (t, F), and decoder rows (t, K, O). */
const numbersPerRun = 2 ** 23;

/** Whether an SAE alone is read where the model's activations lie. */
export function readsOnDevice(dictionary: Dictionary, device: Device = 'cpu'): boolean {
  const bytes = dictionary.encoder.byteLength + dictionary.decoder.byteLength;
  return keepsOutputs(device) && runsOn(device, dictionary) && bytes <= mostBytes;
}

/** An SAE without domains that reads activations where they lie: what it says of them is all that leaves the device. */
export class DeviceSae implements AnalysisSae {
  readonly dictionary: Dictionary;
  readonly readsOnDevice = true;
  /** K, features kept per token. */
  readonly maxK: number;
  private readonly session: Session;

  private constructor(dictionary: Dictionary, maxK: number, session: Session) {
    this.dictionary = dictionary;
    this.maxK = maxK;
    this.session = session;
  }

  static async open(dictionary: Dictionary, options: SaeRunnerOptions): Promise<DeviceSae> {
    const maxK = mostActive(dictionary, options.maxActive);
    const { threads, device = 'cpu', deviceFailed } = options;
    const session = await openSession(() => readingGraph(dictionary, maxK), {
      ...{ threads, device, deviceFailed, allowSpinning: false },
    });
    return new DeviceSae(dictionary, maxK, session);
  }

  async read({ x, target, from, startsWindow }: ReadRequest): Promise<SaeReading> {
    const { maxK: k, dictionary } = this;
    const tokens = rowsOf(x, dictionary.inputWidth) - from;
    const reading = {
      ...{ k, domains: [], gram: new Float32Array() },
      features: new Uint32Array(tokens * k),
      activations: new Float32Array(tokens * k),
      squaredError: new Float32Array(tokens * k),
      cells: [] as CellStatistics[],
    };
    const step = this.rowsPerRun();
    for (let first = 0; first < tokens; first += step) {
      const end = Math.min(first + step, tokens);
      const outputs = await this.session.run({
        ...this.given(x, target),
        [readings.from]: int64Tensor([from + first], [1]),
        [readings.to]: int64Tensor([from + end], [1]),
        [readings.cells]: this.cellsOf(end - first, startsWindow && first === 0),
      });
      reading.features.set(indexValues(outputs[readings.features]), first * k);
      for (const name of ['activations', 'squaredError'] as const) {
        reading[name].set(float32Values(outputs[readings[name]]), first * k);
      }
      const leavesOutFirst = startsWindow && first === 0 && dictionary.tokenPolicy.excludeFirst;
      reading.cells.push(...this.statistics(outputs, leavesOutFirst));
    }
    return reading;
  }

  /** Of the encoder and the decoder, which are both within the graph. */
  get weightBytes(): number {
    const { encoder, decoder } = this.dictionary;
    return encoder.byteLength + decoder.byteLength;
  }

  dispose(): Promise<void> {
    return this.session.dispose();
  }

  /** Whole cells. */
  private rowsPerRun(): number {
    const { width } = this.dictionary;
    const each = Math.max(width, this.maxK * outputWidthOf(this.dictionary));
    return Math.max(1, Math.floor(numbersPerRun / each / cellLength)) * cellLength;
  }

  private given(x: Activations, target: Activations) {
    const { inputWidth, output } = this.dictionary;
    return {
      [readings.x]: tensorOf(x, inputWidth),
      ...(output && { [readings.target]: tensorOf(target, output.width) }),
    };
  }

  private cellsOf(rows: number, startsWindow: boolean) {
    const count = Math.ceil(rows / cellLength);
    const cells = new Float32Array(count * rows);
    for (let row = 0; row < rows; row++) cells[Math.floor(row / cellLength) * rows + row] = 1;
    if (startsWindow && this.dictionary.tokenPolicy.excludeFirst) cells[0] = 0;
    return float32Tensor(cells, [count, rows]);
  }

  private statistics(
    outputs: Awaited<ReturnType<Session['run']>>,
    leavesOutFirst: boolean,
  ): CellStatistics[] {
    const O = outputWidthOf(this.dictionary);
    const of = (name: 'squaredNorm' | 'within' | 'sums') => float32Values(outputs[readings[name]]);
    const [squaredNorm, within, sums] = [of('squaredNorm'), of('within'), of('sums')];
    const excluded = Uint8Array.from(within, (is, row) =>
      is && !(leavesOutFirst && row === 0) ? 0 : 1,
    );
    return Array.from({ length: sums.length / O }, (_, cell) => {
      const rows = [cell * cellLength, (cell + 1) * cellLength] as const;
      return {
        excluded: excluded.slice(...rows),
        squaredNorm: Float64Array.from(squaredNorm.subarray(...rows)),
        sum: Float64Array.from(sums.subarray(cell * O, (cell + 1) * O)),
      };
    });
  }
}
