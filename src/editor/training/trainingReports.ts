import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../common/failure.ts';
import type { BoostReport } from '../../contracts/boostReport.ts';
import { boostReportText } from '../../report/boostReportText.ts';

/** A domain that has a report; another stamp means that the report was written anew. */
export interface ReportEntry {
  readonly domain: string;
  readonly stamp: number;
}

/** The reports of a workspace's domains: `report.json` in each domain's folder. */
export class TrainingReports {
  private readonly folder: string;
  private known: readonly ReportEntry[] = [];

  constructor(folder: string) {
    this.folder = folder;
  }

  /** In the order of the names, as of the last refresh. */
  get all(): readonly ReportEntry[] {
    return this.known;
  }

  async refresh(): Promise<void> {
    const names = await readdir(this.folder).catch(() => []);
    const entries = await Promise.all(
      names.map(async domain => {
        const found = await stat(this.pathOf(domain)).catch(() => undefined);
        return found?.isFile() ? [{ domain, stamp: found.mtimeMs }] : [];
      }),
    );
    this.known = entries.flat().sort((a, b) => a.domain.localeCompare(b.domain));
  }

  /** The text of a domain's report.json. */
  async json(domain: string): Promise<string> {
    if (!this.known.some(entry => entry.domain === domain)) {
      throw new Failure('not-found', `The domain '${domain}' has no report.`);
    }
    return readFile(this.pathOf(domain), 'utf8').catch((cause: unknown) => {
      throw Failure.from(cause);
    });
  }

  async read(domain: string): Promise<BoostReport> {
    const report = parseReport(await this.json(domain));
    if (report) return report;
    throw new Failure('bad-file', `${this.pathOf(domain)} is not a report of this version.`, {
      action: 'Train the domain again.',
    });
  }

  /** Writes the report as Markdown beside it, and says where. */
  async writeMarkdown(domain: string): Promise<string> {
    const path = join(this.folder, domain, 'report.md');
    await writeFile(path, boostReportText(await this.read(domain)));
    return path;
  }

  private pathOf(domain: string): string {
    return join(this.folder, domain, 'report.json');
  }
}

function parseReport(text: string): BoostReport | undefined {
  try {
    const value = JSON.parse(text) as Partial<BoostReport> | null;
    const isReport =
      value?.format === 1 &&
      typeof value.name === 'string' &&
      Array.isArray(value.variants) &&
      Array.isArray(value.features) &&
      Array.isArray(value.improved);
    return isReport ? (value as BoostReport) : undefined;
  } catch {
    return undefined;
  }
}
