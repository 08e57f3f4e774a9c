/* A slave made of libmodbus, for the tests: slave tcp PORT | slave rtu TTY BAUD. Holding and input register n holds
   7n + 3, every third coil and discrete input is on. It prints "ready" and serves until it is killed. */
#include <errno.h>
#include <modbus/modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    uint8_t q[MODBUS_MAX_ADU_LENGTH];
    int tcp = argc == 3 && !strcmp(argv[1], "tcp"), s = -1;
    modbus_t *m = tcp ? modbus_new_tcp("127.0.0.1", atoi(argv[2])) : argc == 4 ? modbus_new_rtu(argv[2], atoi(argv[3]), 'N', 8, 1) : NULL;
    modbus_mapping_t *map = modbus_mapping_new(2000, 2000, 1000, 1000);
    if (!m || !map)
        return 1;
    for (int i = 0; i < 2000; i++)
        map->tab_bits[i] = map->tab_input_bits[i] = i % 3 == 0;
    for (int i = 0; i < 1000; i++)
        map->tab_registers[i] = map->tab_input_registers[i] = 7 * i + 3;
    modbus_set_slave(m, 17);
    if (tcp ? (s = modbus_tcp_listen(m, 4)) < 0 : modbus_connect(m) < 0) {
        fprintf(stderr, "slave: %s\n", modbus_strerror(errno));
        return 1;
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        if (tcp && modbus_tcp_accept(m, &s) < 0)
            return 1;
        for (;;) {
            int n = modbus_receive(m, q);
            if (n > 0)
                modbus_reply(m, q, n, map);
            else if (n < 0 && tcp)
                break;
        }
        modbus_close(m);
    }
}
