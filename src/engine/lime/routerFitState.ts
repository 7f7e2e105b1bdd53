import { join } from 'node:path';
import { stat } from 'node:fs/promises';
import { Failure } from '../../common/failure.ts';
import type { FitPoint } from '../../contracts/routerFit.ts';
import { routerName, type Routers } from '../../lime/fittedRouters.ts';
import { AdamW, type Moments } from '../../training/adamW.ts';
import { SafetensorsFile, type Tensor, writeSafetensors } from '../../weights/safetensors.ts';

const fileName = 'checkpoint.safetensors';
const format = '1';

interface HeldOutCe {
  readonly ce: number;
  readonly tokens: number;
}

/** Where a fit of routers stands. */
export class FitState {
  readonly routers: Routers;
  readonly moments: ReadonlyMap<number, Moments>;
  readonly before: HeldOutCe | undefined;
  readonly curve: FitPoint[];

  constructor(
    routers: Routers,
    moments: ReadonlyMap<number, Moments>,
    before: HeldOutCe | undefined,
    curve: readonly FitPoint[],
  ) {
    this.routers = routers;
    this.moments = moments;
    this.before = before;
    this.curve = [...curve];
  }

  static begin(identity: Routers): FitState {
    const copies = [...identity].map(([layer, r]) => [layer, Float32Array.from(r)] as const);
    const moments = [...identity].map(([layer, r]) => [layer, AdamW.moments(r.length)] as const);
    return new FitState(new Map(copies), new Map(moments), undefined, []);
  }

  /** Steps that are done. */
  get step(): number {
    return this.curve.length;
  }

  /** The same with what held-out text cost before the fit. */
  measured(before: HeldOutCe): FitState {
    return new FitState(this.routers, this.moments, before, this.curve);
  }

  /** Notes that a step was taken. */
  advance(loss: number): void {
    this.curve.push({ step: this.step + 1, loss });
  }
}

/** Writes the state in place of the last one; `key` tells the fit from others. */
export async function writeFitState(folder: string, key: string, state: FitState): Promise<void> {
  const tensors: Record<string, Tensor> = {};
  for (const [layer, data] of state.routers) {
    const name = routerName(layer);
    const shape = [data.length];
    tensors[name] = { dtype: 'F32', shape, data };
    const { first, second } = state.moments.get(layer) ?? AdamW.moments(data.length);
    tensors[`${name}.first`] = { dtype: 'F64', shape, data: first };
    tensors[`${name}.second`] = { dtype: 'F64', shape, data: second };
  }
  const { before, curve } = state;
  await writeSafetensors(join(folder, fileName), tensors, {
    loupe_router_fit: format,
    key,
    state: JSON.stringify({ before, curve }),
  });
}

/** The state of the fit in the folder; undefined where there is none. Fails with `mismatch` for that of another fit. */
export async function readFitState(
  folder: string,
  key: string,
  identity: Routers,
): Promise<FitState | undefined> {
  const path = join(folder, fileName);
  if (!(await stat(path).catch(() => undefined))) return undefined;
  const file = await SafetensorsFile.open(path);
  const { metadata } = file;
  if (metadata.get('loupe_router_fit') !== format || metadata.get('key') !== key) {
    throw new Failure(
      'mismatch',
      `${folder} holds a fit of another model, text, seed or number of tokens.`,
      { action: 'Fit into another folder, or repeat the command that began it.' },
    );
  }
  const state = FitState.begin(identity);
  for (const [layer, router] of state.routers) {
    const name = routerName(layer);
    const moments = state.moments.get(layer);
    await fill(file, name, router);
    await fill(file, `${name}.first`, moments?.first);
    await fill(file, `${name}.second`, moments?.second);
  }
  const { before, curve } = JSON.parse(metadata.get('state') ?? '{}') as Partial<FitState>;
  return new FitState(state.routers, state.moments, before, curve ?? []);
}

async function fill(
  file: SafetensorsFile,
  name: string,
  target: Float32Array | Float64Array | undefined,
): Promise<void> {
  const { data } = await file.read(name);
  if (data.constructor !== target?.constructor || data.length !== target.length) {
    throw new Failure('bad-file', `${file.path}: tensor ${name} is not that of this fit.`);
  }
  target.set(data as Float32Array);
}
