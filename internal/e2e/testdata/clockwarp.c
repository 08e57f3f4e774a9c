// clockwarp OFFSET_FILE PROGRAM ARGS...: runs a program whose CLOCK_REALTIME is off by what stands in the file, a signed
// number of nanoseconds of 8 bytes, which may change at any time.
//
// A static Go program asks the kernel itself, by the vDSO, so that a preloaded library (faketime) never sees it, and time
// namespaces move only the monotonic clocks. So the program gets no vDSO (its entry in the auxiliary vector is struck
// out while the program stands at its first instruction), and its clock_gettime(CLOCK_REALTIME) calls come to this process by
// seccomp user notification, which writes the answer into the program's memory. All other clocks are the kernel's.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what) { perror(what); _exit(125); }

static void send_fd(int sock, int fd) {
	char byte = 0, ctl[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec io = {&byte, 1};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof ctl};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET; c->cmsg_type = SCM_RIGHTS; c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	if (sendmsg(sock, &m, 0) < 0) die("send the listener");
}

static int recv_fd(int sock) {
	char byte, ctl[CMSG_SPACE(sizeof(int))];
	struct iovec io = {&byte, 1};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof ctl};
	if (recvmsg(sock, &m, 0) != 1) die("receive the listener");
	int fd;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
	return fd;
}

static void child(int sock, char **argv) {
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clock_gettime, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLOCK_REALTIME, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = {sizeof f / sizeof *f, f};
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) die("prctl");
	int fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &p);
	if (fd < 0) die("seccomp");
	send_fd(sock, fd);
	close(fd);
	close(sock);
	if (ptrace(PTRACE_TRACEME, 0, 0, 0)) die("ptrace");
	execv(argv[0], argv);
	die(argv[0]);
}

// strike_vdso walks the stack of a program at its first instruction: argc, argv, 0, environment, 0, auxiliary vector.
static void strike_vdso(pid_t pid) {
	struct user_regs_struct r;
	if (ptrace(PTRACE_GETREGS, pid, 0, &r)) die("read registers");
	unsigned long at = r.rsp + 8 * (ptrace(PTRACE_PEEKDATA, pid, r.rsp, 0) + 2);
	while (ptrace(PTRACE_PEEKDATA, pid, at, 0)) at += 8;
	for (at += 8;; at += 16) {
		long type = ptrace(PTRACE_PEEKDATA, pid, at, 0);
		if (type == AT_NULL) return;
		if (type == AT_SYSINFO_EHDR && ptrace(PTRACE_POKEDATA, pid, at, AT_IGNORE)) die("strike out the vDSO");
	}
}

static void answer(int fd, const volatile int64_t *offset, struct seccomp_notif *n, struct seccomp_notif_resp *a) {
	memset(n, 0, sizeof *n);
	if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, n)) return; // the caller is gone
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	int64_t ns = t.tv_sec * 1000000000LL + t.tv_nsec + *offset;
	t.tv_sec = ns / 1000000000LL;
	t.tv_nsec = ns % 1000000000LL;
	struct iovec from = {&t, sizeof t}, to = {(void *)n->data.args[1], sizeof t};
	memset(a, 0, sizeof *a);
	a->id = n->id;
	if (process_vm_writev(n->pid, &from, 1, &to, 1, 0) != sizeof t) a->error = -EFAULT;
	ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, a);
}

int main(int argc, char **argv) {
	if (argc < 3) { fprintf(stderr, "usage: clockwarp OFFSET_FILE PROGRAM ARGS...\n"); return 125; }
	int file = open(argv[1], O_RDONLY);
	if (file < 0) die(argv[1]);
	const volatile int64_t *offset = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
	if (offset == MAP_FAILED) die("map the offset");
	int sock[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sock)) die("socketpair");
	pid_t pid = fork();
	if (pid < 0) die("fork");
	if (!pid) { close(sock[0]); child(sock[1], argv + 2); }
	close(sock[1]);
	int fd = recv_fd(sock[0]), status;
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) die("wait for the program");
	strike_vdso(pid);
	if (ptrace(PTRACE_DETACH, pid, 0, 0)) die("let the program go");
	// What is meant for the program goes to it: this process waits for its end.
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, 0);
	struct seccomp_notif *n = calloc(1, 4096);
	struct seccomp_notif_resp *a = calloc(1, 4096);
	for (;;) {
		struct pollfd p = {fd, POLLIN, 0};
		if (poll(&p, 1, 200) > 0 && p.revents & POLLIN) { answer(fd, offset, n, a); continue; }
		siginfo_t info;
		struct timespec none = {0, 0};
		int sig;
		while ((sig = sigtimedwait(&all, &info, &none)) > 0)
			if (sig != SIGCHLD) kill(pid, sig);
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (p.revents & (POLLHUP | POLLERR)) usleep(20000);
	}
}
