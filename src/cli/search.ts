import { formatCount } from '../common/numbers.ts';
import type { SearchResult } from '../contracts/commandLine.ts';
import { searchHub, type HubFilter } from '../hub/repository.ts';
import { integer, text, usage } from './arguments.ts';
import type { Command } from './command.ts';
import { hubOf, hubOptions } from './hubOptions.ts';

const filters: readonly HubFilter[] = ['gguf', 'safetensors', 'saelens'];

/** `loupe search`: repositories of the Hub by name. */
export const searchCommand: Command = {
  name: 'search',
  usage: 'search QUERY [--filter gguf|safetensors|saelens] [--limit N] [--endpoint URL]',
  summary: 'Search the Hub for models and SAEs by name',
  options: { ...hubOptions, filter: { type: 'string' }, limit: { type: 'string' } },

  async run({ values, positionals, signal }): Promise<SearchResult> {
    const query = positionals.join(' ').trim();
    if (query === '') throw usage('QUERY is missing.');
    const named = text(values, 'filter');
    const filter = filters.find(one => one === named);
    if (named !== undefined && !filter) {
      throw usage(`--filter is ${filters.join(', ')}, not '${named}'.`);
    }
    const limit = integer(values, 'limit', { min: 1, max: 100 }) ?? 30;
    const hub = await hubOf({ values });
    const asked = { query, limit, ...(filter && { filter }) };
    return { endpoint: hub.endpoint.href, repositories: await searchHub(hub, asked, signal) };
  },

  format(result) {
    const { repositories, endpoint } = result as SearchResult;
    if (repositories.length === 0) return `${endpoint} has nothing by that name.`;
    return repositories
      .map(({ id, downloads, gated }) => {
        const consent = gated ? ', asks for consent' : '';
        return `${id}  (${formatCount(downloads)} downloads${consent})`;
      })
      .join('\n');
  },
};
