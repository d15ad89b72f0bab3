import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.format.JsonByteArray;
import java.io.FileReader;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Debezium's engine in a process of its own: JSON, discarded or sent to Kafka, measured from the first to the last event.
 *
 * Arguments: the engine's properties, the number of events and, for Kafka, the producer's properties and the topic.
 * A batch is sent while the one before it is still on its way; it counts as processed once all of it is acknowledged.
 */
public final class DebeziumRun {
    private static long left;
    private static long begunNanos;
    private static long begunCpuNanos;

    public static void main(String[] arguments) throws Exception {
        long events = Long.parseLong(arguments[1]);
        left = events;
        KafkaProducer<byte[], byte[]> producer = arguments.length > 2
            ? new KafkaProducer<>(read(arguments[2]), new ByteArraySerializer(), new ByteArraySerializer())
            : null;
        String topic = arguments.length > 3 ? arguments[3] : null;
        List<Future<RecordMetadata>> onTheirWay = new ArrayList<>();
        List<ChangeEvent<byte[], byte[]>> unacknowledged = new ArrayList<>();
        DebeziumEngine<ChangeEvent<byte[], byte[]>> engine = DebeziumEngine.create(JsonByteArray.class)
            .using(read(arguments[0]))
            .using((success, message, error) -> {
                System.err.println("Debezium ended: " + message + " " + error);
                Runtime.getRuntime().halt(1);
            })
            .notifying((records, committer) -> {
                if (begunNanos == 0) {
                    begunNanos = System.nanoTime();
                    begunCpuNanos = cpuNanos();
                }
                left -= records.size();
                try {
                    List<Future<RecordMetadata>> sent = new ArrayList<>();
                    for (ChangeEvent<byte[], byte[]> record : records) {
                        if (producer != null) {
                            sent.add(producer.send(new ProducerRecord<>(topic, record.key(), record.value())));
                        }
                    }
                    for (Future<RecordMetadata> future : onTheirWay) {
                        future.get();
                    }
                    onTheirWay.clear();
                    onTheirWay.addAll(sent);
                    for (ChangeEvent<byte[], byte[]> record : producer == null ? records : unacknowledged) {
                        committer.markProcessed(record);
                    }
                    unacknowledged.clear();
                    unacknowledged.addAll(records);
                    committer.markBatchFinished();
                    if (left <= 0) {
                        for (Future<RecordMetadata> future : onTheirWay) {
                            future.get();
                        }
                        report(events - left);
                    }
                } catch (Exception error) {
                    error.printStackTrace();
                    Runtime.getRuntime().halt(1);
                }
            })
            .build();
        engine.run();
    }

    private static Properties read(String path) throws Exception {
        Properties properties = new Properties();
        try (FileReader reader = new FileReader(path)) {
            properties.load(reader);
        }
        return properties;
    }

    private static long cpuNanos() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
            .getProcessCpuTime();
    }

    private static void report(long done) throws Exception {
        double secs = (System.nanoTime() - begunNanos) / 1e9;
        double cpuMicros = (cpuNanos() - begunCpuNanos) / 1e3;
        long peakKib = 0;
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmHWM:")) {
                peakKib = Long.parseLong(line.replaceAll("\\D", ""));
            }
        }
        System.out.printf(
            Locale.ROOT,
            "{\"per_sec\": %.1f, \"cpu_us\": %.2f, \"peak_mb\": %.1f}%n",
            done / secs, cpuMicros / done, peakKib * 1024 / 1e6);
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }
}
