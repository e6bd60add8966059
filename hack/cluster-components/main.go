// SPDX-License-Identifier: Apache-2.0

// Every program of a cluster that is written in Go, in one: which one it is to be is the name it
// was started under, or the first argument. One binary takes a sixth of the disk and of the
// linker's time that one for each would, and server and client can't differ in version.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

var components = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
	"kube-proxy":              proxy.NewProxyCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubelet": func() *cobra.Command {
		return kubelet.NewKubeletCommand(context.Background())
	},
}

// CoreDNS's flags are known to the whole process as soon as it is linked in, and one of them is
// called version, as the others' own is.
func forgetFlagsOfCoreDNS() {
	others := flag.NewFlagSet(os.Args[0], flag.ExitOnError)
	flag.VisitAll(func(each *flag.Flag) {
		switch each.Name {
		case "conf", "dns.port", "p", "pidfile", "plugins", "quiet", "version":
		default:
			others.Var(each.Value, each.Name, each.Usage)
		}
	})
	flag.CommandLine = others
}

func main() {
	name := filepath.Base(os.Args[0])
	switch name {
	case "kubectl":
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			cmdutil.CheckErr(err)
		}
	case "etcd":
		etcdmain.Main(os.Args)
	case "coredns":
		coremain.Run()
	default:
		command, known := components[name]
		if !known {
			fmt.Fprintf(os.Stderr, "no component is called %q\n", name)
			os.Exit(2)
		}
		forgetFlagsOfCoreDNS()
		os.Exit(cli.Run(command()))
	}
}
