// Bundles everything that ships: `node esbuild.mjs [--production] [--watch]`.
import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import * as esbuild from 'esbuild';
import { buildKernel } from './scripts/buildKernel.mjs';
import { writeLicenses } from './scripts/writeLicenses.mjs';

/** CommonJS packages inside an ES module bundle still call `require` for Node's own modules. */
const requireShim =
  "import { createRequire as _createRequire } from 'node:module'; const require = _createRequire(import.meta.url);";

const nodeModule = {
  platform: 'node',
  target: 'node20',
  format: 'esm',
  external: ['onnxruntime-node', './unpdf.js', './tfjsCore.js'],
  // Large and seldom needed: bundles of their own, imported for the first PDF and the first training in TensorFlow.
  alias: { unpdf: './unpdf.js', '@tensorflow/tfjs-core': './tfjsCore.js' },
  banner: { js: requireShim },
};
const extensionHost = {
  platform: 'node',
  target: 'node22',
  format: 'cjs',
  external: ['vscode'],
  // VS Code gives its API to what is required, not to what is imported.
  supported: { 'dynamic-import': false },
};
const webview = { platform: 'browser', target: 'chrome128', format: 'iife' };

/** Leaves `import('./NAME/main.ts')` to the bundle NAME.cjs beside this one. */
function besides(name) {
  const external = { path: `./${name}.cjs`, external: true };
  return {
    name: `besides ${name}`,
    setup: build => build.onResolve({ filter: new RegExp(`/${name}/main\\.ts$`) }, () => external),
  };
}

/** What is built: entry, output, esbuild options, and the largest size (bytes) that a production bundle may have. */
const targets = [
  {
    entry: 'src/extension.ts',
    out: 'dist/extension.cjs',
    options: { ...extensionHost, plugins: [besides('choosing')] },
    budget: 200_000,
  },
  {
    // Needed when the user chooses a model or an SAE, and not before.
    entry: 'src/editor/choosing/main.ts',
    out: 'dist/choosing.cjs',
    options: extensionHost,
    budget: 100_000,
  },
  { entry: 'src/engine/main.ts', out: 'dist/engine.js', options: nodeModule, budget: 1_000_000 },
  {
    entry: 'src/cli/main.ts',
    out: 'dist/cli.js',
    options: { ...nodeModule, banner: { js: `#!/usr/bin/env node\n${requireShim}` } },
    budget: 1_200_000,
  },
  {
    entry: 'unpdf',
    out: 'dist/unpdf.js',
    options: { platform: 'node', target: 'node20', format: 'esm', external: ['@napi-rs/canvas'] },
    budget: 2_000_000,
  },
  {
    entry: '@tensorflow/tfjs-core',
    out: 'dist/tfjsCore.js',
    options: {
      ...{ platform: 'node', target: 'node20', format: 'esm', banner: { js: requireShim } },
      mainFields: ['module', 'main'], // its CommonJS would have no names to import
      external: ['node-fetch'], // asked for only where Node has no fetch of its own
    },
    budget: 300_000,
  },
  ...['sidebar', 'feature', 'training', 'layerMap', 'saeCard'].map(name => ({
    entry: `webview/${name}/main.ts`,
    out: `dist/webview/${name}.js`,
    options: webview,
    budget: 250_000,
  })),
];

const { values } = parseArgs({
  options: {
    production: { type: 'boolean', default: false },
    watch: { type: 'boolean', default: false },
  },
});

function optionsOf({ entry, out, options }) {
  return {
    ...options,
    entryPoints: [entry],
    outfile: out,
    bundle: true,
    minify: values.production,
    sourcemap: values.production ? false : 'linked',
    metafile: true,
    legalComments: 'none',
    logLevel: 'warning',
  };
}

/** Prints the size of every output and says whether all are within their budgets. */
function reportSizes(target, metafile) {
  let fits = true;
  for (const [file, { bytes }] of Object.entries(metafile.outputs)) {
    if (file.endsWith('.map')) continue;
    const over = values.production && file === target.out && bytes > target.budget;
    if (over) fits = false;
    const budget = file === target.out ? ` of ${kilobytes(target.budget)}` : '';
    console.log(`${over ? 'TOO LARGE ' : ''}${file}  ${kilobytes(bytes)}${budget}`);
  }
  return fits;
}

function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`;
}

rmSync('dist', { recursive: true, force: true });
await buildKernel();
if (values.watch) {
  for (const target of targets) await (await esbuild.context(optionsOf(target))).watch();
  console.log('watching');
} else {
  const fits = [];
  const inputs = [];
  for (const target of targets) {
    const { metafile } = await esbuild.build(optionsOf(target));
    fits.push(reportSizes(target, metafile));
    inputs.push(...Object.keys(metafile.inputs));
  }
  writeLicenses(inputs);
  if (fits.includes(false)) process.exitCode = 1;
}
