// llama.cpp's prefill of the same GGUF file, for bench/analysis.ts, through npm's node-llama-cpp (pinned: 3.x), which is
// looked for in the folder that is the first argument. Further arguments: the GGUF file, the number of threads.
// The first line of input is the token ids as JSON; every further line asks for one prefill of them; its milliseconds are printed.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [folder, modelPath, threads] = process.argv.slice(2);
const require = createRequire(`${folder}/package.json`);
const { getLlama, LlamaLogLevel } = await import(
  pathToFileURL(require.resolve('node-llama-cpp')).href
);
const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error });
const model = await llama.loadModel({ modelPath });
console.log(llama.llamaCppRelease?.release ?? 'unknown release');
let ids;
for await (const line of createInterface(process.stdin)) {
  if (!ids) {
    ids = JSON.parse(line);
    continue;
  }
  const size = Math.ceil(ids.length / 256) * 256;
  const context = await model.createContext({
    contextSize: size,
    batchSize: size,
    threads: { ideal: Number(threads), min: Number(threads) },
  });
  const sequence = context.getSequence();
  const start = performance.now();
  await sequence.evaluateWithoutGeneratingNewTokens(ids);
  console.log(performance.now() - start);
  await context.dispose();
}
process.exit();
