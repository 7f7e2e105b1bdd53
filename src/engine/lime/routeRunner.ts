import { Random } from '../../common/random.ts';
import { buildDecoder } from '../../models/decoder.ts';
import { feeds, fetches } from '../../models/feeds.ts';
import { initialRouter } from '../../models/lime.ts';
import type { RouterSet } from '../../models/routeNorms.ts';
import { sessionOptions } from '../model/loadModel.ts';
import { RotaryFeeds } from '../model/rotaryFeeds.ts';
import type { Routing } from './routing.ts';
import { openSession, type Session } from '../sessions/session.ts';
import { float32Values, int32Tensor, int64Tensor } from '../sessions/tensors.ts';

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

/** Of the routers that trained ones are compared with. */
const initialSeed = 0;

/** A routed model up to the attention of some layers, run for what their heads take from each buffer. */
export class RouteRunner {
  readonly layers: readonly number[];
  private readonly session: Session;
  private readonly sets: readonly RouterSet[];
  private readonly rotary: RotaryFeeds;
  private readonly bos: number | undefined;

  private constructor(
    session: Session,
    routing: Routing,
    options: { readonly layers: readonly number[]; readonly sets: readonly RouterSet[] },
  ) {
    this.session = session;
    this.layers = options.layers;
    this.sets = options.sets;
    this.rotary = new RotaryFeeds(routing.model.config);
    this.bos = routing.model.tokenizer.bos;
  }

  /** `layers`: of those with a router, default all. `compare`: also with routers as a training begins with them. */
  static async open(
    routing: Routing,
    { layers = [...routing.routers.keys()], compare = false } = {},
  ): Promise<RouteRunner> {
    const { config, weights } = routing.model;
    const random = new Random(initialSeed);
    const drawn = compare
      ? layers.map(layer => [layer, initialRouter(layer, config.keyValueHeads, random)] as const)
      : [];
    const graph = buildDecoder(config, weights, {
      hooks: [],
      head: 'none',
      cache: false,
      routes: { layers, instead: new Map(drawn) },
    });
    // The weights stay mapped: the model itself may be loaded beside this one.
    const session = await openSession(graph, {
      ...sessionOptions(routing.model, { device: 'cpu' }),
      prepack: false,
    });
    const sets: RouterSet[] = compare ? ['own', 'instead'] : ['own'];
    return new RouteRunner(session, routing, { layers, sets });
  }

  /** Of a window of a text (T), after BOS where the model expects it. */
  async ofText(tokenIds: Uint32Array): Promise<WindowNorms> {
    if (this.bos === undefined) return this.run(tokenIds);
    const { own, initial } = await this.run(Uint32Array.of(this.bos, ...tokenIds));
    const rows = tokenIds.length + 1;
    return {
      own: withoutFirst(own, rows),
      ...(initial && { initial: withoutFirst(initial, rows) }),
    };
  }

  /** Of a window of tokens (T), as they are. */
  async run(tokenIds: Uint32Array): Promise<WindowNorms> {
    const { length } = tokenIds;
    const found = await this.session.run(
      {
        [feeds.ids]: int64Tensor(tokenIds, [length]),
        [feeds.lastIndex]: int32Tensor([length - 1], [1]),
        [feeds.length]: int32Tensor([length], []),
        ...this.rotary.of(length, this.session),
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

function withoutFirst(
  norms: ReadonlyMap<number, LayerNorms>,
  rows: number,
): Map<number, LayerNorms> {
  const rest = (values: Float32Array) => values.subarray(values.length / rows);
  return new Map(
    Array.from(norms, ([layer, { memory, output }]) => [
      layer,
      { memory: rest(memory), output: rest(output) },
    ]),
  );
}

function namesOf(layer: number, set: RouterSet): { memory: string; output: string } {
  return { memory: fetches.memoryNorms(layer, set), output: fetches.outputNorms(layer, set) };
}
