import { formatBytes, formatFigure } from '../common/numbers.ts';
import { deviceNames, type DeviceReport } from '../contracts/devices.ts';
import type { DevicesResult } from '../contracts/commandLine.ts';
import type { Device } from '../contracts/engine.ts';
import { obstacle } from '../engine/devices/machineDevices.ts';
import { placementText } from '../engine/devices/deviceInUse.ts';
import { probeDevice } from '../engine/devices/deviceProbe.ts';
import { usage } from './arguments.ts';
import type { Command } from './command.ts';

/** `loupe devices`: which devices there are, which work here, and how fast a small run is on each. */
export const devicesCommand: Command = {
  name: 'devices',
  usage: 'devices',
  summary: 'Which devices work here, why others do not, and how fast a small run is on each.',
  options: {},

  async run({ positionals, signal, ...input }): Promise<DevicesResult> {
    if (positionals[0] !== undefined) throw usage(`'devices' takes no '${positionals[0]}'.`);
    const devices: DeviceReport[] = [];
    for (const device of Object.keys(deviceNames) as Device[]) {
      input.log(`${deviceNames[device]} ...`);
      devices.push(await reportOf(device, signal));
    }
    return { devices };
  },

  format(result) {
    return (result as DevicesResult).devices.map(lineOf).join('\n');
  },
};

async function reportOf(device: Device, signal: AbortSignal): Promise<DeviceReport> {
  const reason = obstacle(device);
  const probe =
    reason === undefined
      ? await probeDevice(device, { signal, again: true })
      : { works: false as const, reason };
  if (!probe.works) return { device, works: false, reason: `${probe.reason}.` };
  const { difference, milliseconds, cpuMilliseconds, placement, float16 } = probe;
  return {
    ...{ device, works: true, difference, float16 },
    ratio: device === 'cpu' ? 1 : milliseconds / cpuMilliseconds,
    ...(placement && device !== 'cpu' && { placement }),
    ...(probe.weightBytes !== undefined && { weightBytes: probe.weightBytes }),
    ...(probe.residentBytes !== undefined && { residentBytes: probe.residentBytes }),
  };
}

function lineOf(report: DeviceReport): string {
  const { device, works, reason, ratio = NaN, placement, float16 = false } = report;
  const name = deviceNames[device].padEnd(8);
  if (!works) return `${name}  no: ${reason ?? 'for no known reason.'}`;
  const memory = [report.weightBytes, report.residentBytes].map(bytes => formatBytes(bytes ?? 0));
  const facts = [
    `small run: ${formatFigure(ratio)} times the CPU's time`,
    float16 ? 'float16 too' : 'no float16',
    `${memory[0]} of weights in a process of ${memory[1]}`,
  ];
  const partly = placement ? `\n${' '.repeat(10)}${placementText(device, placement)}` : '';
  return `${name}  yes: ${facts.join(', ')}${partly}`;
}
