import { formatBytes, formatCount } from '../../src/common/numbers.ts';
import type { TensorTable } from '../../src/contracts/lookAt.ts';
import { element } from '../shared/dom.ts';
import { createNotes, createTable, section } from './tables.ts';

/** Tensors that are listed; the others are counted. */
const mostRows = 2000;

/** The page of a safetensors file that is no SAE, or that cannot be read as one. */
export function createTableView({
  name,
  obstacle,
  tensors,
  files,
  notes,
}: TensorTable): readonly HTMLElement[] {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const numbers = tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const things = tensors.length === 1 ? 'tensor' : 'tensors';
  const lead = `${formatCount(tensors.length)} ${things}, ${formatCount(numbers)} numbers, ${formatBytes(bytes)}`;
  const rows = tensors
    .slice(0, mostRows)
    .map(tensor => [
      tensor.name,
      tensor.dtype,
      tensor.shape.map(formatCount).join(' × ') || 'a number',
      formatBytes(tensor.bytes),
    ]);
  const more = tensors.length - rows.length;
  return [
    element('header', {}, element('h1', {}, name), element('p', { class: 'lead' }, lead)),
    ...(obstacle === null
      ? []
      : [element('p', { class: 'warning' }, `It is not shown as an SAE: ${obstacle}`)]),
    section('Tensors', createTable(['Name', 'Type', 'Shape', 'Size'], rows)),
    ...(more > 0 ? [element('p', { class: 'dim' }, `and ${formatCount(more)} more`)] : []),
    ...(notes.length === 0 ? [] : [section('What else the file says', createNotes(notes))]),
  ];
}
