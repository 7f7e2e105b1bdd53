import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Placement } from '../../contracts/devices.ts';
import { isRecord } from '../../common/record.ts';

/** Where the operators of a profiled session ran (`SessionOptions.profileAt`); undefined where none ran on the CPU. */
export async function profiledPlacement(prefix: string): Promise<Placement | undefined> {
  const names = await readdir(dirname(prefix));
  const files = names.filter(name => name.startsWith(basename(prefix)));
  const providers = new Map<string, { readonly kind: string; readonly provider: string }>();
  for (const name of files) {
    const events: unknown = JSON.parse(await readFile(join(dirname(prefix), name), 'utf8'));
    for (const event of Array.isArray(events) ? (events as unknown[]) : []) {
      const ran = nodeOf(event);
      if (ran) providers.set(ran.name, ran);
    }
  }
  return placementOf([...providers.values()]);
}

function placementOf(
  nodes: readonly { readonly kind: string; readonly provider: string }[],
): Placement | undefined {
  const onCpu = nodes.filter(({ provider }) => provider === 'CPUExecutionProvider');
  if (onCpu.length === 0) return undefined;
  const kinds = [...new Set(onCpu.map(({ kind }) => kind))].sort();
  return { operators: nodes.length, onCpu: onCpu.length, kinds };
}

/** What an event says of the run of an operator; copies between devices are none of the graph's. */
function nodeOf(event: unknown) {
  if (!isRecord(event) || event['cat'] !== 'Node' || !isRecord(event['args'])) return undefined;
  const { op_name: kind, provider } = event['args'];
  const name = event['name'];
  const isRun = typeof name === 'string' && name.endsWith('_kernel_time');
  if (!isRun || typeof kind !== 'string' || typeof provider !== 'string') return undefined;
  return kind.startsWith('Memcpy') ? undefined : { name, kind, provider };
}
