import { feeds } from '../../models/feeds.ts';
import type { ModelConfig } from '../../models/model.ts';
import { rotaryColumns } from '../../models/paddedHeads.ts';
import { headShape, rotaryTables, rotationsOf } from '../../models/rotary.ts';
import type { Session } from '../sessions/session.ts';
import { float32Tensor, type Tensor } from '../sessions/tensors.ts';

/** Tables are made for this many positions more than asked, so that growing texts seldom need new ones. */
const step = 512;

/** The tables of a model's rotations, as a session is fed with them. */
export class RotaryFeeds {
  private readonly config: ModelConfig;
  private rows = 0;
  private tables: Readonly<Record<string, Tensor>> = {};

  constructor(config: ModelConfig) {
    this.config = config;
  }

  /** For at least `length` positions: of the rotations that the session's layers use. */
  of(length: number, session: Session): Record<string, Tensor> {
    if (this.rows < length) this.make(Math.ceil(length / step) * step);
    return Object.fromEntries(Object.entries(this.tables).filter(([name]) => session.takes(name)));
  }

  private make(rows: number): void {
    const columns = rotaryColumns(headShape(this.config));
    const tables = rotationsOf(this.config).flatMap((rotation, i): [string, Tensor][] => {
      const { cosines, sines } = rotaryTables(rotation, rows, columns);
      return [
        [feeds.cosines(i), float32Tensor(cosines, [rows, columns])],
        [feeds.sines(i), float32Tensor(sines, [rows, columns])],
      ];
    });
    this.rows = rows;
    this.tables = Object.fromEntries(tables);
  }
}
