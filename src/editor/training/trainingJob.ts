import { deviceNames } from '../../contracts/devices.ts';
import type { RouterFitRequest } from '../../contracts/routerFit.ts';
import type { BoostRequest, TrainingProgress } from '../../contracts/trainer.ts';
import type { CurvePoint, JobStatus } from '../../contracts/trainingPanel.ts';

/** A training as it is kept in a file of its own, from the moment it is queued until it is taken off the list. */
export type TrainingJob = JobRecord & TrainingTask;

/** What is to be trained, and how. */
export type TrainingTask =
  | { readonly kind: 'residual'; readonly request: BoostRequest }
  | { readonly kind: 'routers'; readonly request: RouterFitRequest };

export interface JobRecord {
  readonly id: string;
  /** Milliseconds since 1970; the order of the queue. */
  readonly created: number;
  readonly status: JobStatus;
  readonly progress: TrainingProgress | null;
  readonly curve: readonly CurvePoint[];
  readonly failure: string | null;
  readonly notice: string | null;
  /** Path of report.json, once there is one. */
  readonly report: string | null;
}

const statuses: readonly JobStatus[] = [
  'queued',
  'running',
  'paused',
  'done',
  'failed',
  'cancelled',
];

/** Whether nothing more happens to a job by itself. */
export function hasEnded({ status }: TrainingJob): boolean {
  return status === 'done' || status === 'failed' || status === 'cancelled';
}

export function newJob(task: TrainingTask, now: number): TrainingJob {
  const random = Math.random().toString(36).slice(2, 8);
  return {
    id: `${now.toString(36)}-${random}`,
    created: now,
    ...task,
    status: 'queued',
    progress: null,
    curve: [],
    failure: null,
    notice: null,
    report: null,
  };
}

/** What of a training's request says where it runs. */
export type DeviceRequest = Pick<BoostRequest, 'model' | 'tensorflow'>;

/** What a task asks for besides the CPU, as people know it, or 'auto'; undefined where that is nothing. */
export function askedDevice({ request }: { readonly request: DeviceRequest }): string | undefined {
  if (request.tensorflow) return 'TensorFlow';
  const { device = 'cpu' } = request.model;
  if (device === 'cpu') return undefined;
  return device === 'auto' ? device : deviceNames[device];
}

/**
 * What a job runs on besides the CPU: until its first step says so, what it asks for. A device that it names runs the model,
 * also where the steps are the CPU's.
 */
export function deviceOf(job: TrainingJob): string | undefined {
  const asked = askedDevice(job);
  const steps = job.progress?.device ?? asked;
  if (asked === undefined || steps !== deviceNames.cpu) return asked && steps;
  const { device = 'cpu' } = job.request.model;
  return device === 'cpu' || device === 'auto' ? undefined : deviceNames[device];
}

/** The same job on the CPU. */
export function onCpu(job: TrainingJob): TrainingJob {
  return job.kind === 'residual'
    ? { ...job, request: requestOnCpu(job.request) }
    : { ...job, request: requestOnCpu(job.request) };
}

/** The same training on the CPU. */
export function requestOnCpu<R extends DeviceRequest>(request: R): R {
  const model = { ...request.model, device: 'cpu' as const };
  return { ...request, model, ...(request.tensorflow && { tensorflow: undefined }) };
}

/** The job that a file holds; undefined where it holds none, as after a fault of the disk. */
export function parseJob(text: string): TrainingJob | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  // Jobs of earlier versions have no kind: they train residual SAEs.
  const job = typeof value === 'object' && value !== null ? { kind: 'residual', ...value } : value;
  return isJob(job) ? job : undefined;
}

function isJob(value: unknown): value is TrainingJob {
  if (typeof value !== 'object' || value === null) return false;
  const { id, created, kind, request, status, curve } = value as Partial<Record<string, unknown>>;
  if (typeof request !== 'object' || request === null) return false;
  const { name, folder } = request as Partial<Record<string, unknown>>;
  return (
    typeof id === 'string' &&
    /^[\w-]+$/.test(id) &&
    typeof created === 'number' &&
    (kind === 'residual' || kind === 'routers') &&
    statuses.some(known => known === status) &&
    Array.isArray(curve) &&
    typeof name === 'string' &&
    typeof folder === 'string'
  );
}

/** Most points of a curve that are kept: beyond, every second one is dropped. */
const longestCurve = 240;

/** The curve with what was measured now; a training that went back to its checkpoint draws that stretch again. */
export function extendCurve(
  curve: readonly CurvePoint[],
  { step, loss, domainEv, generalEv }: TrainingProgress,
): readonly CurvePoint[] {
  if (loss === null && domainEv === null && generalEv === null) return curve;
  const before = curve.filter(point => point.step < step);
  const thinned = before.length < longestCurve ? before : before.filter((_point, i) => i % 2 === 1);
  return [...thinned, { step, loss, domainEv, generalEv }];
}
