// Writes dist/LICENSES.txt: the licences of every package whose code ships in the bundles or beside them.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Ships as it is, beside the bundles. */
const unbundled = ['onnxruntime-node', 'onnxruntime-common'];

/** Works of others inside a package that its own licence does not cover. */
const contained = {
  unpdf:
    'It contains pdf.js (https://github.com/mozilla/pdf.js), Copyright Mozilla Foundation, under the Apache License 2.0,\n' +
    'whose text is with @huggingface/tokenizers.',
  '@tensorflow/tfjs-core':
    'Copyright Google LLC, under the Apache License 2.0, whose text is with @huggingface/tokenizers.',
  '@keckelt/tsne':
    'It is derived from tSNEJS (https://github.com/karpathy/tsnejs), Copyright Andrej Karpathy, under the MIT License.',
};

/** `inputs`: the files that went into the bundles, from esbuild's metafiles. */
export function writeLicenses(inputs, file = 'dist/LICENSES.txt') {
  const bundled = inputs.flatMap(input => {
    const [, name] = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input) ?? [];
    return name === undefined ? [] : [name];
  });
  const names = [...new Set([...bundled, ...unbundled])].sort();
  const texts = [...names.map(licenseOf), publicSaes()];
  writeFileSync(file, texts.join(`\n${'-'.repeat(80)}\n\n`));
}

function licenseOf(name) {
  const folder = join('node_modules', name);
  const { version, license, author, repository } = JSON.parse(
    readFileSync(join(folder, 'package.json'), 'utf8'),
  );
  const texts = readdirSync(folder)
    .filter(entry => /^(licen[cs]e|copying|notice)(\.(md|txt))?$/i.test(entry))
    .map(entry => readFileSync(join(folder, entry), 'utf8').trim());
  if (texts.length === 0) texts.push(...licenseInReadme(folder));
  const by = typeof author === 'string' ? author : author?.name;
  const where = typeof repository === 'string' ? repository : repository?.url;
  const head = [`${name} ${version} (${license})`, by, where].filter(line => line !== undefined);
  const notes = Object.hasOwn(contained, name) ? [contained[name]] : [];
  return `${[...head, ...notes, ...texts].join('\n\n')}\n`;
}

/** The last section of a readme, where that is the licence: some packages have it nowhere else. */
function licenseInReadme(folder) {
  const readme = readdirSync(folder).find(entry => /^readme\.md$/i.test(entry));
  if (readme === undefined) return [];
  const text = readFileSync(join(folder, readme), 'utf8');
  const [section] = /^(#+ )?licen[cs]e\b[^\n]*\n[^]*permission[^]*$/im.exec(text) ?? [];
  return section === undefined ? [] : [section.trim()];
}

/** The index of public SAEs is made from SAELens' own. */
function publicSaes() {
  const head = 'media/publicSaes.json, made from pretrained_saes.yaml of SAELens (MIT)';
  return `${head}\n\n${readFileSync('media/publicSaes.LICENSE.txt', 'utf8').trim()}\n`;
}
