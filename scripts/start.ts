// `npm start`: builds and packages Loupe, prints the analysis of a sample, and opens the samples in an editor.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import {
  cacheFolder,
  ensureCodeServer,
  installVsix,
  serverFolders,
  startCodeServer,
  writeSettings,
} from './codeServer.ts';
import { findProgram, run } from './commands.ts';
import { hostTarget, root, vsixPath } from './targets.ts';

const samples = join(root, 'samples');
const sample = join(samples, 'chemistry.md');
const shownLines = 40;

/** The editor opens with the sample in front, and asks nothing that is not about Loupe. */
const settings = {
  'security.workspace.trust.enabled': false,
  'workbench.startupEditor': 'none',
  'editor.wordWrap': 'on',
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'chat.disableAIFeatures': true,
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'extensions.autoUpdate': false,
  'extensions.ignoreRecommendations': true,
};

try {
  await start();
} catch (error) {
  console.error(`\nnpm start: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function start(): Promise<void> {
  const target = hostTarget();
  if (target === undefined)
    throw new Error(`Loupe has no build for ${process.platform}-${process.arch} (see README).`);
  step('Building');
  await run(process.execPath, [join(root, 'esbuild.mjs'), '--production'], { cwd: root });
  step(`Packaging for ${target}`);
  await run(process.execPath, ['--import', 'tsx', join(root, 'scripts/package.ts'), target], {
    cwd: root,
  });
  step('Analyzing samples/chemistry.md');
  analyzeSample();
  const desktop = desktopEditor();
  if (desktop === undefined) await openInBrowser(vsixPath(target));
  else await openOnDesktop(desktop, vsixPath(target));
}

/** Prints the beginning of what the command line says of the sample. */
function analyzeSample(): void {
  const { status, stdout } = spawnSync(
    process.execPath,
    [join(root, 'dist/cli.js'), 'analyze', sample],
    {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      maxBuffer: 2 ** 26,
    },
  );
  if (status !== 0) throw new Error('The analysis failed.');
  const lines = stdout.trimEnd().split('\n');
  console.log(lines.slice(0, shownLines).join('\n'));
  if (lines.length > shownLines)
    console.log(
      `... and ${lines.length - shownLines} lines more: node dist/cli.js analyze samples/chemistry.md`,
    );
}

function step(what: string): void {
  console.log(`\n== ${what}`);
}

/** `code`, where it can open a window here: not in CI, not as a remote shell's `code`, not without a display. */
function desktopEditor(): string | undefined {
  const { CI, VSCODE_IPC_HOOK_CLI: remoteShell, DISPLAY, WAYLAND_DISPLAY } = process.env;
  const isRoot = process.getuid?.() === 0;
  const hasDisplay = process.platform !== 'linux' || (DISPLAY ?? WAYLAND_DISPLAY ?? '') !== '';
  if (isSet(CI) || isSet(remoteShell) || isRoot || !hasDisplay) return undefined;
  return findProgram(['code']);
}

function isSet(variable: string | undefined): boolean {
  return variable !== undefined && variable !== '';
}

/** Opens a window with settings and extensions of its own: the user's profile stays untouched. */
async function openOnDesktop(code: string, vsix: string): Promise<void> {
  step(`Opening ${samples} in ${code}`);
  const userData = join(cacheFolder(), 'desktop/data');
  writeSettings({ userData }, settings);
  const folders = [
    '--user-data-dir',
    userData,
    '--extensions-dir',
    join(cacheFolder(), 'desktop/extensions'),
  ];
  // On Windows `code` is a batch file, which only a shell starts.
  const quote = (text: string): string => (process.platform === 'win32' ? `"${text}"` : text);
  const open = (args: readonly string[]): Promise<void> =>
    run(quote(code), [...folders, ...args].map(quote), { shell: process.platform === 'win32' });
  await open(['--install-extension', vsix, '--force']);
  await open(['--new-window', samples, sample]);
  console.log(
    'Loupe is in the activity bar. Run "Loupe: Analyze Document" from the command palette (F1).',
  );
}

async function openInBrowser(vsix: string): Promise<void> {
  step('Starting VS Code for the browser (code-server)');
  const server = await ensureCodeServer();
  const folders = serverFolders(join(cacheFolder(), 'browser'), settings);
  const log = join(cacheFolder(), 'browser/server.log');
  await installVsix(server, folders, vsix, log);
  const running = await startCodeServer(server, folders, log);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => {
      void running.stop();
    });
  console.log(`\nOpen ${running.address(samples, sample)}`);
  console.log(
    'Run "Loupe: Analyze Document" from the command palette (F1). Ctrl-C here ends the server.',
  );
  await running.ended;
}
