import { extname } from 'node:path';

/** What a file's name says of it; plan and report count files by these. */
export type CorpusFormat = 'text' | 'markdown' | 'code' | 'latex' | 'html' | 'pdf' | 'jsonl';

const extensions: Readonly<Record<Exclude<CorpusFormat, 'text'>, string>> = {
  jsonl: 'jsonl ndjson',
  html: 'html htm xhtml',
  pdf: 'pdf',
  markdown: 'md markdown mdx rmd qmd',
  latex: 'tex ltx sty cls dtx bib',
  code:
    'adb agda asm astro bash bat c cc clj cljs cmake cmd cpp cs css cu cuh cxx d dart el elm erl ex exs f f90 f95 ' +
    'for fs fsx gd glsl go gradle graphql groovy h hh hpp hrl hs hxx ipp java jl js jsx kt kts lean less lisp lua m ' +
    'metal mjs cjs ml mli mm mts nim nix nu pas php pl pm proto ps1 py pyi pyx r rb rkt rs sass scala scm scss sh ' +
    'sol sql sv svelte swift tcl tf thy toml ts tsx v vala vb vhd vhdl vim vue wat wgsl xsl yaml yml zig zsh json',
};

const formats = new Map(
  Object.entries(extensions).flatMap(([format, names]) =>
    names.split(' ').map(name => [`.${name}`, format as CorpusFormat]),
  ),
);

/** The format by the file's name, `.gz` and `.xz` taken off; what no format claims is text. */
export function formatOf(path: string): CorpusFormat {
  const name = path.toLowerCase().replace(/\.(gz|xz)$/, '');
  return formats.get(extname(name)) ?? 'text';
}
