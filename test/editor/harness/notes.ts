import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../../../src/common/random.ts';

const compounds =
  'aniline phenol toluene acetone pyridine ethanol benzene indole furan thiophene naphthalene styrene aspirin morphine caffeine glucose glycine lysine urea quinine'.split(
    ' ',
  );
const classes =
  'alkaloid ketone aldehyde ester amide amine alcohol carboxylic acid terpene steroid lactone ether'.split(
    ' ',
  );
const verbs = 'oxidised reduced acylated hydrolysed nitrated brominated alkylated'.split(' ');
const reagents =
  'sodium hydroxide|potassium permanganate|acetic anhydride|lithium aluminium hydride|sulfuric acid|bromine|palladium on carbon|hydrogen peroxide'.split(
    '|',
  );
const ends = [
  'to give a white solid in good yield',
  'and the product was recrystallised from hot water',
  'until the colour had gone',
  'as the kinetic isotope effect shows',
  'with inversion at the stereogenic centre',
  'under an atmosphere of nitrogen',
];

/** Invented notes on organic chemistry, the same every time: enough text of one kind for a short training. */
export function writeNotes(workspace: string, files = 60): void {
  const random = new Random(7);
  const pick = (from: readonly string[]): string => from[random.below(from.length)] ?? '';
  const number = (from: number, to: number): number => from + random.below(to - from + 1);
  const sentences: (() => string)[] = [
    () => `${pick(compounds)} was ${pick(verbs)} with ${pick(reagents)} ${pick(ends)}.`,
    () =>
      `The ${pick(classes)} (${number(10, 900)} mg) and ${pick(reagents)} were stirred ${pick(ends)}.`,
    () =>
      `At pH ${number(1, 13)} the ${pick(classes)} of ${pick(compounds)} is protonated ${pick(ends)}.`,
    () => `Any ${pick(classes)} that contains ${pick(compounds)} melts at ${number(20, 300)} °C.`,
    () =>
      `1H NMR of the ${pick(classes)}: ${number(1, 8)}.${number(10, 99)} (s, ${number(1, 3)}H) ppm.`,
  ];
  const folder = join(workspace, 'notes');
  mkdirSync(folder, { recursive: true });
  for (let file = 0; file < files; file++) {
    const lines = Array.from({ length: 40 }, () => sentences[number(0, sentences.length - 1)]?.());
    writeFileSync(
      join(folder, `lecture-${file + 1}.md`),
      `# Lecture ${file + 1}\n\n${lines.join(' ')}\n`,
    );
  }
}
