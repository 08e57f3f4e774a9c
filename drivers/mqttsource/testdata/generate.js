// Writes the payloads *.bin with npm sparkplug-payload 1.0.3, an implementation that is not ours:
//   npm install sparkplug-payload@1.0.3 && node generate.js
const fs = require('fs')
const sp = require('sparkplug-payload').get('spBv1.0')
const Long = require('long')
const t = Long.fromNumber(1700000000000)
const write = (name, p) => fs.writeFileSync(name + '.bin', sp.encodePayload(p))
write('nbirth', { timestamp: t, seq: 0, metrics: [
  { name: 'bdSeq', type: 'UInt64', value: Long.fromNumber(7), timestamp: t },
  { name: 'Node Control/Rebirth', type: 'Boolean', value: false, timestamp: t },
  { name: 'Outside/Temp', alias: 1, type: 'Float', value: 21.5, timestamp: t, properties: { engUnit: { type: 'String', value: 'Cel' } } },
  { name: 'count8', alias: 2, type: 'Int8', value: -5, timestamp: t },
  { name: 'count64', alias: 3, type: 'Int64', value: Long.fromString('-9007199254740993'), timestamp: t },
  { name: 'big', alias: 4, type: 'UInt64', value: Long.fromString('18446744073709551615', true), timestamp: t },
  { name: 'ok', alias: 5, type: 'Boolean', value: true, timestamp: t },
  { name: 'text', alias: 6, type: 'String', value: 'grüezi', timestamp: t },
  { name: 'exact', alias: 7, type: 'Double', value: 0.1, timestamp: t },
  { name: 'none', alias: 8, type: 'Int32', value: null, timestamp: t },
] })
write('dbirth', { timestamp: t, seq: 1, metrics: [{ name: 'level', alias: 20, type: 'UInt16', value: 65535, timestamp: t }] })
write('ndata2', { timestamp: t, seq: 2, metrics: [
  { alias: 1, type: 'Float', value: -3.25, timestamp: t.add(500) },
  { alias: 2, type: 'Int8', value: 100, timestamp: t.add(500), properties: { Quality: { type: 'Int32', value: 500 } } },
  { alias: 5, type: 'Boolean', value: false, timestamp: t.add(500), properties: { Quality: { type: 'Int32', value: 0 } } }] })
write('ddata3', { timestamp: t, seq: 3, metrics: [{ alias: 20, type: 'UInt16', value: 7, timestamp: t.add(600) }] })
write('ndata6', { timestamp: t, seq: 6, metrics: [{ alias: 1, type: 'Float', value: 1, timestamp: t }, { name: 'count8', type: 'Int8', value: 1, timestamp: t }, { alias: 99, type: 'Int32', value: 1, timestamp: t }] })
write('ddeath7', { timestamp: t, seq: 7, metrics: [] })
write('ndeath', { timestamp: t, metrics: [{ name: 'bdSeq', type: 'UInt64', value: Long.fromNumber(7), timestamp: t }] })
write('ndeath-old', { timestamp: t, metrics: [{ name: 'bdSeq', type: 'UInt64', value: Long.fromNumber(6), timestamp: t }] })
