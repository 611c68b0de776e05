// A service of the OpenTelemetry SDK for Node.js: spans with an exception each tenth, log records, one counter.
// Usage: node send.js json|proto ENDPOINT SPANS

const { SpanStatusCode } = require('@opentelemetry/api');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { BasicTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-base');
const { LoggerProvider, BatchLogRecordProcessor } = require('@opentelemetry/sdk-logs');
const { MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');

const [encoding, endpoint, count] = process.argv.slice(2);
const kind = { json: 'http', proto: 'proto' }[encoding];
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${kind}`);
const { OTLPLogExporter } = require(`@opentelemetry/exporter-logs-otlp-${kind}`);
const { OTLPMetricExporter } = require(`@opentelemetry/exporter-metrics-otlp-${kind}`);

async function main() {
  const resource = resourceFromAttributes({ 'service.name': 'node-shop', 'service.version': '1.2.3' });
  const tracing = new BasicTracerProvider({
    resource,
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: `${endpoint}/v1/traces`, compression: 'gzip' }))],
  });
  const logging = new LoggerProvider({
    resource,
    processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter({ url: `${endpoint}/v1/logs` }) })],
  });
  const reader = new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter({ url: `${endpoint}/v1/metrics` }) });
  const metering = new MeterProvider({ resource, readers: [reader] });

  const tracer = tracing.getTracer('shop');
  const logger = logging.getLogger('shop');
  const counter = metering.getMeter('shop').createCounter('orders');
  for (let n = 0; n < Number(count); n += 1) {
    const span = tracer.startSpan(`GET /items/${n % 7}`, { attributes: { 'item.number': n, 'item.big': n % 2 === 0 } });
    if (n % 10 === 0) {
      span.recordException(new TypeError(`no item ${n}`));
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    span.end();
    logger.emit({ severityNumber: 9, severityText: 'INFO', body: `item ${n}` });
    counter.add(1, { shelf: n % 3 });
  }
  await tracing.shutdown();
  await logging.shutdown();
  await metering.shutdown();
}

main().catch((error) => { console.error(error); process.exit(1); });
