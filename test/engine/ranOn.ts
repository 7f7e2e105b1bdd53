import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { InferenceSession } from 'onnxruntime-node';

/*
 * What ran where, as onnxruntime's profiler tells it. With LOUPE_RAN_ON naming a file (docs/results/devices.md), the
 * rows go into its table in place of those of the same name.
 */

/** Copies to and from the device, which are no op of ours. */
const copies = new Set(['MemcpyFromHost', 'MemcpyToHost']);

/** Records the sessions on WebGPU of a test file; called once, at its top. */
export class RanOn {
  /** Ops and the providers that ran them, by what the graphs are. */
  private readonly providers = new Map<string, Map<string, Set<string>>>();
  private readonly ended: Promise<void>[] = [];
  private graphs = '';
  private sessions = 0;
  private folder = '';

  constructor() {
    const create: (typeof InferenceSession)['create'] =
      InferenceSession.create.bind(InferenceSession);
    const recorded = async (graph: Uint8Array, options: InferenceSession.SessionOptions) => {
      if (!options.executionProviders?.includes('webgpu')) return create(graph, options);
      this.folder ||= await mkdtemp(join(tmpdir(), 'loupe-ran-on-'));
      const profile = `${this.sessions++}-`;
      const profileFilePrefix = join(this.folder, profile);
      const session = await create(graph, { ...options, enableProfiling: true, profileFilePrefix });
      return this.watched(session, profile);
    };
    Object.assign(InferenceSession, { create: recorded });
    after(() => this.settle());
  }

  /** What the sessions are that are opened from here on: "Gemma 2: segments and head". */
  are(graphs: string): void {
    this.graphs = graphs;
  }

  private watched(session: InferenceSession, profile: string): InferenceSession {
    const { graphs } = this;
    const release = session.release.bind(session);
    session.release = async () => {
      session.endProfiling();
      await release();
      this.ended.push(this.read(graphs, profile));
      await this.ended.at(-1);
    };
    return session;
  }

  private async read(graphs: string, profile: string): Promise<void> {
    const file = (await readdir(this.folder)).find(name => name.startsWith(profile));
    assert.ok(file, `${graphs} left no profile`);
    const events = JSON.parse(await readFile(join(this.folder, file), 'utf8')) as ProfileEvent[];
    const ops = this.providers.get(graphs) ?? new Map<string, Set<string>>();
    this.providers.set(graphs, ops);
    for (const { args } of events) {
      if (!args?.provider || !args.op_name || copies.has(args.op_name)) continue;
      const seen = ops.get(args.op_name) ?? new Set();
      ops.set(args.op_name, seen.add(args.provider.replace('ExecutionProvider', '')));
    }
  }

  /** Fails where an op ran elsewhere than on WebGPU. */
  private async settle(): Promise<void> {
    await Promise.all(this.ended);
    if (this.folder) await rm(this.folder, { recursive: true });
    const rows = new Map<string, string>();
    for (const [graphs, ops] of this.providers) {
      const names = [...ops.keys()].sort().join(', ');
      const ran = [...new Set([...ops.values()].flatMap(of => [...of]))].join(', ');
      rows.set(graphs, `| ${graphs} | ${ran} | ${names} |`);
    }
    console.log([...rows.values()].join('\n'));
    const path = process.env['LOUPE_RAN_ON'];
    if (path) await writeTable(path, rows);
    for (const [graphs, ops] of this.providers) {
      for (const [op, seen] of ops) assert.deepEqual([...seen], ['WebGpu'], `${op} of ${graphs}`);
    }
  }
}

interface ProfileEvent {
  readonly args?: { readonly op_name?: string; readonly provider?: string };
}

const heading = `# What runs where

Every graph that Loupe runs on WebGPU, the provider of onnxruntime-node that ran its nodes and the ops that ran, as its
profiler tells on SwiftShader. Written by

\`\`\`sh
LOUPE_RAN_ON=docs/results/devices.md npx tsx --test --test-concurrency=1 test/engine/webgpu*.test.ts
\`\`\`

The same tests fail where an op runs elsewhere. On the CPU whatever the setting: layer maps, and SAEs that take each group's
largest (groupmax).

| graphs | ran on | ops |
| ------ | ------ | --- |
`;

async function writeTable(path: string, rows: Map<string, string>): Promise<void> {
  const lines = existsSync(path) ? (await readFile(path, 'utf8')).split('\n') : [];
  const known = lines.filter(line => /^\| (?!graphs|-)/.test(line));
  const all = new Map(known.map(line => [line.split(' | ')[0]?.slice(2) ?? '', line]));
  for (const [graphs, row] of rows) all.set(graphs, row);
  const sorted = [...all].sort(([a], [b]) => a.localeCompare(b)).map(([, row]) => row);
  await writeFile(path, `${heading}${sorted.join('\n')}\n`);
}
