/** Style sheets are imported for their effect: esbuild gathers them beside the bundle. */
declare module '*.css';
