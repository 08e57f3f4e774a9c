// Five-minute means of every series of every box, with Kafka Streams:
//
//	java -cp 'libs/*' Means.java kafka-1:9092 edge.telemetry means
//
// reads rows in JSON from the second topic and writes one record a window to the third, again whenever the window grows:
// the latest one holds. Each committed row counts once, also over crashes of this program.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.Locale;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.TimestampExtractor;

public class Means {
    static final ObjectMapper JSON = new ObjectMapper();

    /** When a row was read. A record's own time is when it was written, which after an outage is much later. */
    public static class RowTime implements TimestampExtractor {
        @Override
        public long extract(ConsumerRecord<Object, Object> record, long partitionTime) {
            return parse((String) record.value()).path("t").asLong() / 1000; // µs
        }
    }

    static JsonNode parse(String row) {
        try {
            return JSON.readTree(row);
        } catch (java.io.IOException e) {
            throw new IllegalArgumentException("not a row: " + row, e);
        }
    }

    static String series(JsonNode row) {
        return row.path("device").asText() + " " + row.path("series").asText() + row.path("labels");
    }

    /** The sum so far is text "COUNT SUM", so that it needs no serialiser of its own. */
    static String add(String sum, double value) {
        String[] s = sum.split(" ");
        return (Long.parseLong(s[0]) + 1) + " " + (Double.parseDouble(s[1]) + value);
    }

    static String mean(String series, long from, String sum) {
        String[] s = sum.split(" ");
        ObjectNode out = JSON.createObjectNode();
        out.put("series", series).put("from_ms", from).put("count", Long.parseLong(s[0]));
        return out.put("mean", Double.parseDouble(s[1]) / Long.parseLong(s[0])).toString();
    }

    public static void main(String[] args) throws InterruptedException {
        if (args.length < 3) {
            System.err.println("usage: Means BROKERS ROWS MEANS [STATE-DIRECTORY]");
            System.exit(2);
        }
        Properties p = new Properties();
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, "edge-means");
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2); // reads committed records only
        p.put(StreamsConfig.consumerPrefix("session.timeout.ms"), 10_000); // after a crash the next one goes on as soon
        if (args.length > 3) {
            p.put(StreamsConfig.STATE_DIR_CONFIG, args[3]);
        }
        // Boxes bring a backlog of days in one go: windows stay open for as long.
        TimeWindows windows = TimeWindows.ofSizeAndGrace(Duration.ofMinutes(5), Duration.ofDays(7));
        StreamsBuilder b = new StreamsBuilder();
        b.stream(args[1], Consumed.with(Serdes.String(), Serdes.String()).withTimestampExtractor(new RowTime()))
            .mapValues(Means::parse)
            .filter((device, row) -> row.path("quality").asText().equals("good") && row.path("value").isNumber())
            .map((device, row) -> new org.apache.kafka.streams.KeyValue<>(series(row), row.path("value").asDouble()))
            .groupByKey(Grouped.with(Serdes.String(), Serdes.Double()))
            .windowedBy(windows)
            .aggregate(() -> "0 0", (series, value, sum) -> add(sum, value),
                Materialized.with(Serdes.String(), Serdes.String()))
            .toStream((w, sum) -> w.key() + String.format(Locale.ROOT, "@%d", w.window().start()))
            .mapValues((key, sum) -> {
                int at = key.lastIndexOf('@');
                return mean(key.substring(0, at), Long.parseLong(key.substring(at + 1)), sum);
            })
            .to(args[2], Produced.with(Serdes.String(), Serdes.String()));
        KafkaStreams streams = new KafkaStreams(b.build(), p);
        streams.setUncaughtExceptionHandler(e -> {
            e.printStackTrace();
            return org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(30))));
        while (streams.state() != KafkaStreams.State.ERROR && streams.state() != KafkaStreams.State.NOT_RUNNING) {
            Thread.sleep(500);
        }
        System.exit(1);
    }
}
