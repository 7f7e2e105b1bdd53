import { spawn } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { delay, endProcessGroup, exitCode, run } from './commands.ts';

/** code-server's version carries VS Code 1.139.1; its extension host needs the major version of Node beside it. */
const codeServerVersion = '4.139.1';
const nodeVersion = '24.21.0';

/** An installed code-server: VS Code served to a browser. */
export interface CodeServer {
  readonly node: string;
  readonly entry: string;
}

/** The folders of one code-server: nothing outside them is read or written as configuration. */
export interface ServerFolders {
  readonly home: string;
  readonly userData: string;
  readonly extensions: string;
}

/** A running code-server. */
export interface RunningServer {
  readonly port: number;
  readonly pid: number;
  /** Resolves when the server ends by itself or by `stop`. */
  readonly ended: Promise<void>;
  /** The address that opens `folder`, and in it `file` if one is named. */
  address(folder: string, file?: string): string;
  stop(): Promise<void>;
}

/** The folder in which Loupe keeps what it downloads for its own commands. */
export function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'] ?? '';
  return join(base === '' ? join(homedir(), '.cache') : base, 'loupe');
}

/** Gets code-server and the Node that it needs from npm, once; nothing of it is compiled. */
export async function ensureCodeServer(): Promise<CodeServer> {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64'))
    throw new Error(
      `code-server is set up here on Linux only (this is ${process.platform}-${process.arch}). ` +
        'Install VS Code and its shell command "code", then run this again.',
    );
  const name = `code-server-${codeServerVersion}-node-${nodeVersion}-${process.arch}`;
  const folder = join(cacheFolder(), name);
  if (!existsSync(folder)) await install(folder);
  const modules = join(folder, 'node_modules');
  return {
    node: join(modules, nodePackage(), 'bin/node'),
    entry: join(modules, 'code-server/out/node/entry.js'),
  };
}

function nodePackage(): string {
  return `node-linux-${process.arch}`;
}

/** Installs beside the final folder and renames, so that an interrupted install is never taken for a whole one. */
async function install(folder: string): Promise<void> {
  console.log(
    `Getting code-server ${codeServerVersion} from npm into ${folder} (about 800 MB, once).`,
  );
  mkdirSync(dirname(folder), { recursive: true });
  const unfinished = mkdtempSync(`${folder}.`);
  try {
    await installInto(unfinished);
    renameSync(unfinished, folder);
  } catch (error) {
    if (existsSync(folder)) return; // another process was faster
    const cause = error instanceof Error ? error.message : String(error);
    throw new Error(
      `code-server could not be installed from npm (is its registry reachable?): ${cause}`,
      {
        cause: error,
      },
    );
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

async function installInto(folder: string): Promise<void> {
  writeFileSync(join(folder, 'package.json'), '{"private":true}\n');
  await npmInstall(folder, [`${nodePackage()}@${nodeVersion}`]);
  const node = join(folder, 'node_modules', nodePackage());
  await npmInstall(folder, [`code-server@${codeServerVersion}`], node);
  const vscode = join(folder, 'node_modules/code-server/lib/vscode');
  // code-server's own post-install script would compile; without it these steps remain.
  await npmInstall(vscode, ['--omit=dev'], node);
  await npmInstall(join(vscode, 'extensions'), ['--omit=dev'], node);
  link('code-linux.sh', join(vscode, 'bin/remote-cli/code-server'));
  link('browser-linux.sh', join(vscode, 'bin/helpers/browser.sh'));
  copyFileSync(
    join(import.meta.dirname, 'plainLog.cjs'),
    join(vscode, 'node_modules/@vscode/spdlog/index.js'),
  );
}

function link(target: string, path: string): void {
  rmSync(path, { force: true });
  symlinkSync(target, path);
}

async function npmInstall(cwd: string, args: readonly string[], node?: string): Promise<void> {
  const env = withoutEditorVariables();
  if (node !== undefined) {
    env['PATH'] = `${join(node, 'bin')}:${env['PATH'] ?? ''}`;
    env['npm_config_nodedir'] = node;
  }
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  // stdout to stderr: npm's summary is no result of ours.
  await run('npm', ['install', ...quiet, ...args], { cwd, env, stdio: ['ignore', 2, 2] });
}

/** The environment without what npm and an enclosing VS Code put there for their own children. */
function withoutEditorVariables(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env);
  return Object.fromEntries(entries.filter(([name]) => !/^(VSCODE|npm)_/.test(name)));
}

function environment({ home }: ServerFolders): NodeJS.ProcessEnv {
  return {
    ...withoutEditorVariables(),
    HOME: home,
    XDG_CONFIG_HOME: join(home, '.config'),
    XDG_DATA_HOME: join(home, '.local/share'),
    XDG_CACHE_HOME: join(home, '.cache'),
  };
}

/** Makes the folders of a code-server under `root`, with the user settings given. */
export function serverFolders(
  root: string,
  settings: Readonly<Record<string, unknown>>,
): ServerFolders {
  const folders = {
    home: join(root, 'home'),
    userData: join(root, 'data'),
    extensions: join(root, 'extensions'),
  };
  for (const folder of [folders.home, folders.extensions]) mkdirSync(folder, { recursive: true });
  writeSettings(folders, settings);
  return folders;
}

/** Writes the settings, the user's and the machine's (files on the server); a running server takes them over by itself. */
export function writeSettings(
  { userData }: Pick<ServerFolders, 'userData'>,
  settings: Readonly<Record<string, unknown>>,
): void {
  for (const part of ['User', 'Machine']) {
    mkdirSync(join(userData, part), { recursive: true });
    const file = join(userData, part, 'settings.json');
    writeFileSync(file, `${JSON.stringify(settings, undefined, 2)}\n`);
  }
}

/** Its output goes to `logFile`: much of it is about parts that were not compiled here. */
export async function installVsix(
  server: CodeServer,
  folders: ServerFolders,
  vsix: string,
  logFile: string,
): Promise<void> {
  const args = [server.entry, ...folderArguments(folders), '--install-extension', vsix, '--force'];
  const log = openSync(logFile, 'a');
  try {
    const code = await exitCode(server.node, args, {
      env: environment(folders),
      stdio: ['ignore', log, log],
    });
    if (code !== 0) throw new Error(`${vsix} could not be installed; the reason is in ${logFile}`);
  } finally {
    closeSync(log);
  }
}

function folderArguments({ userData, extensions }: ServerFolders): string[] {
  return ['--user-data-dir', userData, '--extensions-dir', extensions];
}

/** Starts code-server on a free port of 127.0.0.1 and waits until it answers; its output goes to `logFile`. */
export async function startCodeServer(
  server: CodeServer,
  folders: ServerFolders,
  logFile: string,
): Promise<RunningServer> {
  const port = await freePort();
  const options = [
    ...['--auth', 'none', '--bind-addr', `127.0.0.1:${String(port)}`],
    ...['--disable-telemetry', '--disable-update-check', '--disable-getting-started-override'],
  ];
  const log = openSync(logFile, 'a');
  const child = spawn(server.node, [server.entry, ...options, ...folderArguments(folders)], {
    env: environment(folders),
    stdio: ['ignore', log, log],
    detached: true,
  });
  closeSync(log);
  const ended = new Promise<void>(resolve => {
    child.once('error', () => {
      resolve();
    });
    child.once('exit', () => {
      resolve();
    });
  });
  const stop = (): Promise<void> => endProcessGroup(child);
  if (!(await answers(port, ended))) {
    await stop();
    throw new Error(`code-server did not start; what it said is in ${logFile}`);
  }
  return {
    port,
    pid: child.pid ?? 0,
    ended,
    stop,
    address: (folder, file) => address(port, folder, file),
  };
}

function address(port: number, folder: string, file?: string): string {
  const host = `127.0.0.1:${String(port)}`;
  const query = new URLSearchParams({ folder });
  if (file !== undefined)
    query.set(
      'payload',
      JSON.stringify([['openFile', `vscode-remote://${host}${encodeURI(file)}`]]),
    );
  return `http://${host}/?${query.toString()}`;
}

/** Whether the server answers within a minute; false at once where it ends before that. */
async function answers(port: number, ended: Promise<void>): Promise<boolean> {
  const over = new AbortController();
  void ended.then(() => {
    over.abort();
  });
  const healthz = `http://127.0.0.1:${String(port)}/healthz`;
  const giveUp = Date.now() + 60_000;
  while (Date.now() < giveUp && !over.signal.aborted) {
    const response = await fetch(healthz).catch(() => undefined);
    if (response?.ok === true) return true;
    await delay(50);
  }
  return false;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const bound = probe.address();
      const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
      probe.close(() => {
        resolve(port);
      });
    });
  });
}
