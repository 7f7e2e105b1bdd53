import { Random } from '../common/random.ts';
import { buildLlama, feeds, fetches } from '../models/llama.ts';
import { initialRouter } from '../models/lime.ts';
import { paddedWidth } from '../models/paddedHeads.ts';
import { rotaryTables, type RotaryTables } from '../models/rotary.ts';
import type { RouterSet } from '../models/routeNorms.ts';
import type { Routing } from './routing.ts';
import {
  float32Tensor,
  float32Values,
  int32Tensor,
  int64Tensor,
  openSession,
  type Session,
} from './session.ts';
import type { WindowShape } from './windows.ts';

/** How much of each buffer the heads of one layer take, of T tokens. */
export interface LayerNorms {
  /** |R_j V_j(t)|: (T, KV, layer + 1). */
  readonly memory: Float32Array;
  /** |sum over s of A(t, s) R_j V_j(s)|: (T, H, layer + 1). */
  readonly output: Float32Array;
}

/** By layer, with the model's routers and, where the runner compares, with routers at initialisation. */
export interface WindowNorms {
  readonly own: ReadonlyMap<number, LayerNorms>;
  readonly initial?: ReadonlyMap<number, LayerNorms>;
}

/** Tokens that are run together: what is held of them grows with layers and heads. */
const longestWindow = 512;
/** Of the routers that trained ones are compared with. */
const initialSeed = 0;

/** The windows that a text is cut into; each shares a quarter with the one before, whose tokens are context only. */
export function routeWindowShape({ model }: Pick<Routing, 'model'>): WindowShape {
  const length = Math.min(longestWindow, model.config.contextLength);
  return { length, overlap: Math.floor(length / 4) };
}

/** A routed model up to the attention of some layers, run for what their heads take from each buffer. */
export class RouteRunner {
  readonly layers: readonly number[];
  private readonly session: Session;
  private readonly sets: readonly RouterSet[];
  private readonly rotary: RotaryTables;
  private readonly columns: number;

  private constructor(
    session: Session,
    routing: Routing,
    options: { readonly layers: readonly number[]; readonly sets: readonly RouterSet[] },
  ) {
    const { headWidth, ropeTheta } = routing.model.config;
    this.session = session;
    this.layers = options.layers;
    this.sets = options.sets;
    this.columns = paddedWidth(headWidth) / 2;
    const { length } = routeWindowShape(routing);
    this.rotary = rotaryTables(headWidth, ropeTheta, length, this.columns);
  }

  /** `layers`: of those with a router, default all. `compare`: also with routers as a training begins with them. */
  static async open(
    routing: Routing,
    { layers = [...routing.routers.keys()], compare = false } = {},
  ): Promise<RouteRunner> {
    const { config, weights, threads } = routing.model;
    const random = new Random(initialSeed);
    const drawn = compare
      ? layers.map(layer => [layer, initialRouter(layer, config.keyValueHeads, random)] as const)
      : [];
    const graph = buildLlama(config, weights, {
      hooks: [],
      head: 'none',
      cache: false,
      routes: { layers, instead: new Map(drawn) },
    });
    // The weights stay mapped: the model itself may be loaded beside this one.
    const session = await openSession(graph, { threads, prepack: false });
    const sets: RouterSet[] = compare ? ['own', 'instead'] : ['own'];
    return new RouteRunner(session, routing, { layers, sets });
  }

  /** Of a window of tokens (T). */
  async run(tokenIds: Uint32Array): Promise<WindowNorms> {
    const { length } = tokenIds;
    const { rows, cosines, sines } = this.rotary;
    const shape = [rows, this.columns];
    const found = await this.session.run(
      {
        [feeds.ids]: int64Tensor(tokenIds, [length]),
        [feeds.lastIndex]: int32Tensor([length - 1], [1]),
        [feeds.length]: int32Tensor([length], []),
        [feeds.cosines]: float32Tensor(cosines, shape),
        [feeds.sines]: float32Tensor(sines, shape),
      },
      this.sets.flatMap(set => this.layers.flatMap(layer => Object.values(namesOf(layer, set)))),
    );
    const of = (set: RouterSet): ReadonlyMap<number, LayerNorms> =>
      new Map(
        this.layers.map(layer => {
          const { memory, output } = namesOf(layer, set);
          const values = (name: string) => float32Values(found[name]);
          return [layer, { memory: values(memory), output: values(output) }];
        }),
      );
    return { own: of('own'), ...(this.sets.includes('instead') && { initial: of('instead') }) };
  }

  dispose(): Promise<void> {
    return this.session.dispose();
  }
}

function namesOf(layer: number, set: RouterSet): { memory: string; output: string } {
  return { memory: fetches.memoryNorms(layer, set), output: fetches.outputNorms(layer, set) };
}
