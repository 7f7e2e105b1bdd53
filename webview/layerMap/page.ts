import type { LayerMap, Route } from '../../src/contracts/layerMap.ts';
import type { LayerMapHost, LayerMapState } from '../../src/contracts/layerMapPanel.ts';
import type { Caller } from '../../src/messages/calls.ts';
import type { Cell } from './heatMap/heatMap.ts';
import type { Matrix } from './heatMap/matrix.ts';

/** What every tab draws from. */
export interface PageState {
  readonly map: LayerMap;
  readonly state: LayerMapState;
  /** Maps are shown less the initial ones. */
  readonly subtract: boolean;
  /** Colours go by the square root of the values. */
  readonly root: boolean;
}

/** What a tab does besides drawing. */
export interface PageActions {
  readonly host: Caller<LayerMapHost>;
  readonly select: (route: Route) => void;
  /** Says the exact numbers of what is pointed at; '': nothing is. */
  readonly say: (sentence: string) => void;
  /** Draws the page again after a choice of its own. */
  readonly redraw: () => void;
}

/** One of the panel's views. */
export interface TabView {
  readonly id: string;
  readonly label: string;
  readonly element: HTMLElement;
  /** Whether it shows something of the open document, which is run for it. */
  readonly ofDocument: boolean;
  /** Whether routes say nothing in it, so that the bar of the selected one would only take room. */
  readonly withoutRoute?: boolean;
  update(page: PageState): void;
  /** What its figure is when copied; null: there is none. */
  copies(page: PageState): Copies | null;
}

/** A figure in the forms that it is copied in. */
export interface Copies {
  readonly name: string;
  readonly figure: HTMLElement;
  readonly csv: () => string;
}

/** The route's cell among the rows of layers. */
export function layerCell(route: Route | null, matrix: Matrix): Cell | undefined {
  const row = route ? matrix.rows.indexOf(route.layer) : -1;
  return route && row >= 0 ? { row, column: route.buffer } : undefined;
}

/** What a cell of a layer by buffer map stands for. */
export function layerCellName(matrix: Matrix, reader = ''): (cell: Cell) => string {
  return ({ row, column }) => {
    const layer = matrix.rows[row] ?? 0;
    return `Layer ${layer}${reader} reads ${bufferName(column, layer)}`;
  };
}

/** A buffer as its readers know it. */
export function bufferName(buffer: number, layer: number): string {
  if (buffer === layer) return `its own buffer ${buffer}`;
  return buffer === 0 ? 'buffer 0, of the embeddings' : `buffer ${buffer}`;
}

/** The key and value head that a head of queries reads. */
export function keyValueHead(head: number, { heads, queryHeads }: LayerMap): number {
  return Math.floor((head * heads) / queryHeads);
}

/** The first head of queries that reads a key and value head. */
export function queryHead(head: number, { heads, queryHeads }: LayerMap): number {
  return Math.floor((head * queryHeads) / heads);
}
